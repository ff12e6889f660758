/*
 * idle: a program that waits for a signal, and is next to nothing itself.
 *
 * It has no C library, whose start would take longer than some of what is measured: it asks the CPU
 * for all its caches, and each such question ends up with the hypervisor of a host that is a guest.
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
