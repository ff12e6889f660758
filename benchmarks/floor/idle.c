/*
 * idle: wait for a signal, with as little memory and time as possible.
 *
 * It has no C library, whose start would take longer than some of the measured steps: it asks the CPU
 * for its caches, and on a virtual host each such instruction traps into the hypervisor.
 */
void _start(void)
{
	for (;;)
#if defined(__x86_64__)
		__asm__ volatile("syscall" : : "a"(34 /* pause */) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
		__asm__ volatile("mov x8, #73 /* ppoll */\n mov x0, #0\n mov x1, #0\n mov x2, #0\n"
				 "mov x3, #0\n svc #0" : : : "x0", "x1", "x2", "x3", "x8", "memory");
#endif
}
