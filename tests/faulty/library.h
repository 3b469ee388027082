/* What library.c promises, and mostly does not keep. */
#pragma portcullis library "libfaulty.so" module "faulty"
int scribble(const uint8_t *__counted_by(n) data, uint32_t n) __leaf;
int shout(const char *text) __leaf;
int behave(const uint8_t *__counted_by(n) data, uint32_t n);
int overrun(uint32_t *_Out_ __counted_by(1) value);
int overrun_cell(size_t *_Out_ value);
double round_up(double x);
double flush(double x);
double single(double x);
int block(int signal);
const char *__lifetimebound(static) wild(int64_t by);
int keep_quietly(int (*f)(int x));
int use_quietly(int x);
int call_from_a_thread(int (*f)(int x));
int fork_quietly(int x);
void leave(int status);
