// A library that does what its prototypes say it does not.
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int scribble(const uint8_t *data, uint32_t n) { if (n) ((uint8_t *)data)[n - 1] ^= 1; return (int)n; }
int shout(const char *text) { ((char *)text)[0] ^= 0x20; return (int)strlen(text); }
int behave(const uint8_t *data, uint32_t n) { return n ? data[0] : -1; }
int overrun(uint32_t *value) { value[0] = 1; value[2] = 7; return 0; }
int overrun_cell(size_t *value) { value[0] = 1; value[1] = 7; return 0; }
double round_up(double x) { fesetround(FE_UPWARD); return x; }
double flush(double x) {
    unsigned csr;
    __asm__ volatile("stmxcsr %0" : "=m"(csr));
    csr |= 0x8040;
    __asm__ volatile("ldmxcsr %0" : : "m"(csr));
    return x;
}
double single(double x) {
    unsigned short word = 0x007f;
    __asm__ volatile("fldcw %0" : : "m"(word));
    return x;
}
int block(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return pthread_sigmask(SIG_BLOCK, &set, 0);
}
/* What comes back. */
const char *wild(int64_t by) { static char text[] = "text"; return text + by; }
static int (*kept)(int);
int keep_quietly(int (*f)(int)) { kept = f; return f(1); }
int use_quietly(int x) { return kept ? kept(x) : -1; }
static void *body(void *x) { *(int *)x = kept ? kept(*(int *)x) : -1; return 0; }
int call_from_a_thread(int (*f)(int)) {
    int x = 1;
    pthread_t thread;
    kept = f;
    if (pthread_create(&thread, 0, body, &x)) return -2;
    pthread_join(thread, 0);
    return x;
}
int fork_quietly(int x) {
    pid_t child = fork();
    if (child == 0) _exit(x);
    return (int)child > 0;
}
void leave(int status) { exit(status); }
