/* The parts of the probe: what it sees of itself, and what it tries. */
#ifndef PROBE_H
#define PROBE_H

void report_self(int argc, char **argv, char **envp); /* everything about this process, as members of the open object */
int try_verb(char *verb_and_operand); /* one attempt, as one element of the open array; 0 if it is unknown */
char *read_whole(const char *path, long *length); /* NULL with errno set when it cannot be read; caller frees */

#endif
