#include <stdarg.h>
#include <stdint.h>

struct floats turn(struct floats v, float by) { return (struct floats){v.y * by, v.z, v.x}; }

struct double_int add(struct double_int a, int b) { return (struct double_int){a.d + b, a.i - b}; }

struct bytes17 next(struct bytes17 v, int by) {
    for (int i = 0; i < 17; ++i) v.b[i] += by;
    return v;
}

int narrow(int before, union extended v) { return before + v.narrow; }
union extended widen(int v) { return (union extended){.wide = v}; }

/* One integer register is left: the pair goes to the stack whole, what follows takes the register. */
long one_left(long a, long b, long c, long d, long e, struct pair p, long g) {
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * p.x + 1000000 * p.y + 10000000 * g;
}
double one_vector_left(double a, double b, double c, double d, double e, double f, double g,
                       struct doubles p, double h) {
    return a + b + c + d + e + f + g + 10 * p.x + 100 * p.y + 1000 * h;
}
/* The integer register is left although the vector register would do. */
double mixed_left(long a, long b, long c, long d, long e, long f, struct mixed m, double x) {
    return a + b + c + d + e + f + m.i + m.f + m.d + 100 * x;
}

/* Behind one word on the stack the 16 bytes are aligned. */
__int128 wide_on_stack(long a, long b, long c, long d, long e, long f, long g, struct wide w, long h) {
    return w.value * 2 + a + b + c + d + e + f + g + h;
}

_Complex long double turn_complex(_Complex long double z) {
    return __builtin_complex(-__imag__ z, __real__ z);
}
_Complex float half_complex(_Complex float z) { return z / 2; }
struct extended_alone twice(struct extended_alone v) {
    return (struct extended_alone){2 * v.value};
}
long double sum3(int a, long double b, struct extended_alone c) { return a + b + c.value; }

/* Where the argument is. gcc knows where it should be, so it must not know what is asked. */
static uintptr_t address(const void *p) {
    __asm__("" : "+r"(p));
    return (uintptr_t)p;
}
long where32(int a, struct aligned32 v, char b) {
    return address(&v) % 32 == 0 ? v.value + a + b : -1;
}
long where64(struct aligned64 v, struct aligned32 w) {
    return address(&v) % 64 == 0 && address(&w) % 32 == 0 ? v.text[64] + w.value : -1;
}
struct aligned64 make64(int c) {
    struct aligned64 v = {{0}};
    v.text[64] = c;
    return v;
}

float4 scale(double by, float4 v, struct vector_alone w, int more) {
    return v * (float)by + w.lanes + (float)more;
}
struct vector_alone alone(float4 v) { return (struct vector_alone){v}; }

struct unaligned swap(struct unaligned v) { return (struct unaligned){(char)v.d, v.c}; }
struct bits count(struct bits v) {
    return (struct bits){v.a + 1, v.b - 1, !v.c, v.d + (1ll << 35)};
}

double sum_of(int n, ...) {
    double sum = 0;
    va_list list;
    va_start(list, n);
    for (int i = 0; i < n; ++i) sum = 10 * sum + va_arg(list, double);
    va_end(list);
    return sum;
}
long mixed_tail(int n, ...) {
    va_list list;
    va_start(list, n);
    struct pair p = va_arg(list, struct pair);
    long double x = va_arg(list, long double);
    struct mixed m = va_arg(list, struct mixed);
    int i = va_arg(list, int);
    va_end(list);
    return n + p.x + 10 * p.y + 100 * (long)x + 1000 * m.i + 10000 * (long)m.d + 100000 * i;
}

/* What only registers show: the vector registers that a variadic call says it used, and what is
   above a narrow argument or result. */
int vectors_used(int n, ...);
int whole_register(signed char c);
short garbage_above(void);
_Bool garbage_above_bool(void);
__asm__(".text\n.globl vectors_used, whole_register, garbage_above, garbage_above_bool\n"
        "vectors_used: movzbl %al, %eax\nret\n"
        "whole_register: movl %edi, %eax\nret\n"
        "garbage_above: movq $0x1234567890abfffe, %rax\nret\n"
        "garbage_above_bool: movl $0x5a5a5a01, %eax\nret\n");

/* Records that compilers pass in different ways. */
struct flexible { int n; int tail[]; };
struct no_elements { float x; int tail[0]; };
struct empty_tail { int n; struct {} tail; };
int flexible(struct flexible v, int i) { return v.n + i; }
int no_elements(struct no_elements v, int i) { return (int)v.x + i; }
int empty_tail(struct empty_tail v, int i) { return v.n + i; }
