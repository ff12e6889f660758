/* Process 1 of a machine, and the agent that a machine's own init starts. */
#ifndef PAYLOAD_INIT_H
#define PAYLOAD_INIT_H

#include <stdint.h>

/* As /init of an initramfs: loads the modules named in /modules.load, mounts $TONNAGE_ROOT if that is
 * set, and executes $TONNAGE_INIT or, without one, serves as the agent. If the root file system names
 * the command of an image (application.h), that is started first. */
void be_init(uint64_t begun_ns);

/* Writes the event "first-instruction" to the console. */
void announce_on_console(uint64_t ns);

/* Serves in a machine; `button` is the power button, or -1 if the machine's init has it. `words` describe
 * the command of an image, which is started first; NULL if there is none. */
void serve_machine(uint64_t begun_ns, int button, char **words);

/* Hands an event to the agent. */
int tell(const char *name);

#endif
