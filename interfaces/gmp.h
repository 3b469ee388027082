/* gmp.h: integers of any size, by GNU MP 6.
 *
 * Grants: computation. A number is at most 65536 limbs of 64 bits (1.2 million decimal digits) before it is used again;
 * there may be as many as the store has handles. Numbers that the guest forgets go with its store.
 *
 * An mpz_t is a struct that GMP trusts: it holds a pointer, and how many limbs are there. So the real one is in native
 * memory, and the guest's own names it. It has the size and sign of the number in _mp_size after each call, which
 * mpz_sgn reads. A copy of an mpz_t names the same number, also once that has grown, which C does not promise.
 *
 * GMP ends the process where it runs out of memory, divides by zero or makes a number that is too large. Hence,
 * narrower than GMP itself:
 *  - What makes numbers larger asks that the result have about 65536 limbs at most: what is passed is added up
 *    beforehand. Factorials go to 100000, Fibonacci numbers to 4000000.
 *  - Divisors are not 0, square roots are of numbers that are not negative.
 *  - mpz_powm takes exponents and moduli up to 32768 bits, which is a second; exponents are not negative.
 *  - Bases go from 2 to 62 (mpz_set_str: and 0). mpz_get_str writes to a buffer of the guest's, which has the
 *    mpz_sizeinbase(op, base) + 2 bytes that GMP asks for.
 *
 * Powers of the library's own: memory. mpz_set_str makes a number as large as its text, which may be all of the guest's memory: a few
 * times that in native memory. Do not grant it to guests whose memories have 16 GiB or more: GMP would end the process.
 *
 * Left out: rationals and floating-point numbers; random states; input and output; mpz_inits, mpz_clears and
 * gmp_printf, whose arguments no prototype describes; mpz_gcdext, mpz_tdiv_qr and their like, two results of which
 * must not be the same number; mp_set_memory_functions, which is everybody's; the limbs themselves (mpn).
 */
#ifndef PORTCULLIS_GMP_H
#define PORTCULLIS_GMP_H

#include <stddef.h>
#include <stdint.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libgmp.so.10" module "gmp"
#endif
PORTCULLIS_MODULE("gmp")

typedef unsigned long mp_limb_t;
typedef unsigned long mp_bitcnt_t;

typedef struct __mpz_struct {
    int _mp_alloc __private;
    int _mp_size _Out_;
    mp_limb_t *_mp_d __private;
} __mpz_struct __boxed __drop(__gmpz_clear);
typedef __mpz_struct *mpz_ptr;
typedef const __mpz_struct *mpz_srcptr;

#define GMP_LIMBS 65536 /* of a number that is passed, unless more is said */

#ifndef __PORTCULLIS__
typedef __mpz_struct mpz_t[1];

/* The names that C programs use, as in GMP's own header. */
#define mpz_init __gmpz_init
#define mpz_init2 __gmpz_init2
#define mpz_init_set __gmpz_init_set
#define mpz_init_set_ui __gmpz_init_set_ui
#define mpz_init_set_si __gmpz_init_set_si
#define mpz_init_set_str __gmpz_init_set_str
#define mpz_clear __gmpz_clear
#define mpz_set __gmpz_set
#define mpz_set_ui __gmpz_set_ui
#define mpz_set_si __gmpz_set_si
#define mpz_set_str __gmpz_set_str
#define mpz_swap __gmpz_swap
#define mpz_get_str __gmpz_get_str
#define mpz_get_ui __gmpz_get_ui
#define mpz_get_si __gmpz_get_si
#define mpz_get_d __gmpz_get_d
#define mpz_import __gmpz_import
#define mpz_export __gmpz_export
#define mpz_sizeinbase __gmpz_sizeinbase
#define mpz_size __gmpz_size
#define mpz_sgn(z) ((z)->_mp_size < 0 ? -1 : (z)->_mp_size > 0)
#define mpz_cmp __gmpz_cmp
#define mpz_cmp_ui __gmpz_cmp_ui
#define mpz_cmp_si __gmpz_cmp_si
#define mpz_cmpabs __gmpz_cmpabs
#define mpz_tstbit __gmpz_tstbit
#define mpz_odd_p(z) mpz_tstbit((z), 0)
#define mpz_even_p(z) (!mpz_odd_p(z))
#define mpz_popcount __gmpz_popcount
#define mpz_scan0 __gmpz_scan0
#define mpz_scan1 __gmpz_scan1
#define mpz_divisible_p __gmpz_divisible_p
#define mpz_divisible_ui_p __gmpz_divisible_ui_p
#define mpz_perfect_square_p __gmpz_perfect_square_p
#define mpz_probab_prime_p __gmpz_probab_prime_p
#define mpz_neg __gmpz_neg
#define mpz_abs __gmpz_abs
#define mpz_com __gmpz_com
#define mpz_add __gmpz_add
#define mpz_add_ui __gmpz_add_ui
#define mpz_sub __gmpz_sub
#define mpz_sub_ui __gmpz_sub_ui
#define mpz_ui_sub __gmpz_ui_sub
#define mpz_mul __gmpz_mul
#define mpz_mul_ui __gmpz_mul_ui
#define mpz_mul_si __gmpz_mul_si
#define mpz_addmul __gmpz_addmul
#define mpz_addmul_ui __gmpz_addmul_ui
#define mpz_submul __gmpz_submul
#define mpz_submul_ui __gmpz_submul_ui
#define mpz_mul_2exp __gmpz_mul_2exp
#define mpz_tdiv_q __gmpz_tdiv_q
#define mpz_tdiv_r __gmpz_tdiv_r
#define mpz_fdiv_q __gmpz_fdiv_q
#define mpz_fdiv_r __gmpz_fdiv_r
#define mpz_cdiv_q __gmpz_cdiv_q
#define mpz_mod __gmpz_mod
#define mpz_tdiv_q_ui __gmpz_tdiv_q_ui
#define mpz_tdiv_r_ui __gmpz_tdiv_r_ui
#define mpz_tdiv_ui __gmpz_tdiv_ui
#define mpz_fdiv_q_ui __gmpz_fdiv_q_ui
#define mpz_fdiv_ui __gmpz_fdiv_ui
#define mpz_mod_ui __gmpz_fdiv_r_ui
#define mpz_tdiv_q_2exp __gmpz_tdiv_q_2exp
#define mpz_fdiv_q_2exp __gmpz_fdiv_q_2exp
#define mpz_tdiv_r_2exp __gmpz_tdiv_r_2exp
#define mpz_and __gmpz_and
#define mpz_ior __gmpz_ior
#define mpz_xor __gmpz_xor
#define mpz_pow_ui __gmpz_pow_ui
#define mpz_ui_pow_ui __gmpz_ui_pow_ui
#define mpz_powm __gmpz_powm
#define mpz_powm_ui __gmpz_powm_ui
#define mpz_gcd __gmpz_gcd
#define mpz_lcm __gmpz_lcm
#define mpz_invert __gmpz_invert
#define mpz_sqrt __gmpz_sqrt
#define mpz_root __gmpz_root
#define mpz_nextprime __gmpz_nextprime
#define mpz_fac_ui __gmpz_fac_ui
#define mpz_fib_ui __gmpz_fib_ui
#define mpz_bin_uiui __gmpz_bin_uiui
#endif

/* Numbers come and go. */
void __gmpz_init(mpz_ptr x _Out_);
void __gmpz_init2(mpz_ptr x _Out_, mp_bitcnt_t n __range(0, 64 * GMP_LIMBS));
void __gmpz_init_set(mpz_ptr rop _Out_, mpz_srcptr op);
void __gmpz_init_set_ui(mpz_ptr rop _Out_, unsigned long op);
void __gmpz_init_set_si(mpz_ptr rop _Out_, long op);
int __gmpz_init_set_str(mpz_ptr rop _Out_, const char *str, int base __range(0) __range(2, 62));
void __gmpz_clear(mpz_ptr x __consumes);

void __gmpz_set(mpz_ptr rop, mpz_srcptr op);
void __gmpz_set_ui(mpz_ptr rop, unsigned long op);
void __gmpz_set_si(mpz_ptr rop, long op);
int __gmpz_set_str(mpz_ptr rop, const char *str, int base __range(0) __range(2, 62));
void __gmpz_swap(mpz_ptr a, mpz_ptr b);
void __gmpz_import(mpz_ptr rop, size_t count, int order __range(-1) __range(1), size_t size __range(1, 4096),
                   int endian __range(-1, 1), size_t nails __range(0), const void *__sized_by(count * size) op)
    __requires(count * size <= 8 * GMP_LIMBS);

/* What they are. get_ui and get_si give the low 64 bits, which a guest with 32-bit longs may not hold: that traps. */
__attribute__((pure)) size_t __gmpz_sizeinbase(mpz_srcptr op, int base __range(2, 62));
__attribute__((pure)) size_t __gmpz_size(mpz_srcptr op);
char *__gmpz_get_str(char *_Out_ __counted_by(__gmpz_sizeinbase(op, base) + 2) str, int base __range(2, 62),
                     mpz_srcptr op);
unsigned long __gmpz_get_ui(mpz_srcptr op);
long __gmpz_get_si(mpz_srcptr op);
double __gmpz_get_d(mpz_srcptr op);
void *__gmpz_export(void *_Out_ __sized_by((__gmpz_sizeinbase(op, 2) + 8 * size - 1) / (8 * size) * size) rop,
                    size_t *_Nullable _Out_ count, int order __range(-1) __range(1), size_t size __range(1, 4096),
                    int endian __range(-1, 1), size_t nails __range(0), mpz_srcptr op);
int __gmpz_cmp(mpz_srcptr op1, mpz_srcptr op2);
int __gmpz_cmp_ui(mpz_srcptr op1, unsigned long op2);
int __gmpz_cmp_si(mpz_srcptr op1, long op2);
int __gmpz_cmpabs(mpz_srcptr op1, mpz_srcptr op2);
int __gmpz_tstbit(mpz_srcptr op, mp_bitcnt_t bit_index);
mp_bitcnt_t __gmpz_popcount(mpz_srcptr op) __requires(op->_mp_size >= 0);
mp_bitcnt_t __gmpz_scan0(mpz_srcptr op, mp_bitcnt_t starting_bit) __requires(op->_mp_size >= 0);
mp_bitcnt_t __gmpz_scan1(mpz_srcptr op, mp_bitcnt_t starting_bit)
    __requires(op->_mp_size > 0 && starting_bit < __gmpz_sizeinbase(op, 2));
int __gmpz_divisible_p(mpz_srcptr n, mpz_srcptr d)
    __requires(abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
int __gmpz_divisible_ui_p(mpz_srcptr n, unsigned long d);
int __gmpz_perfect_square_p(mpz_srcptr op) __requires(abs(op->_mp_size) <= GMP_LIMBS);
int __gmpz_probab_prime_p(mpz_srcptr n, int reps __range(0, 64)) __requires(abs(n->_mp_size) <= 128);

/* Sums, differences, products */
void __gmpz_neg(mpz_ptr rop, mpz_srcptr op);
void __gmpz_abs(mpz_ptr rop, mpz_srcptr op);
void __gmpz_com(mpz_ptr rop, mpz_srcptr op) __requires(abs(op->_mp_size) <= GMP_LIMBS);
void __gmpz_add(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_add_ui(mpz_ptr rop, mpz_srcptr op1, unsigned long op2) __requires(abs(op1->_mp_size) <= GMP_LIMBS);
void __gmpz_sub(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_sub_ui(mpz_ptr rop, mpz_srcptr op1, unsigned long op2) __requires(abs(op1->_mp_size) <= GMP_LIMBS);
void __gmpz_ui_sub(mpz_ptr rop, unsigned long op1, mpz_srcptr op2) __requires(abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_mul(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) + abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_mul_ui(mpz_ptr rop, mpz_srcptr op1, unsigned long op2) __requires(abs(op1->_mp_size) <= GMP_LIMBS);
void __gmpz_mul_si(mpz_ptr rop, mpz_srcptr op1, long op2) __requires(abs(op1->_mp_size) <= GMP_LIMBS);
void __gmpz_addmul(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(rop->_mp_size) <= GMP_LIMBS && abs(op1->_mp_size) + abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_addmul_ui(mpz_ptr rop, mpz_srcptr op1, unsigned long op2)
    __requires(abs(rop->_mp_size) <= GMP_LIMBS && abs(op1->_mp_size) <= GMP_LIMBS);
void __gmpz_submul(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(rop->_mp_size) <= GMP_LIMBS && abs(op1->_mp_size) + abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_submul_ui(mpz_ptr rop, mpz_srcptr op1, unsigned long op2)
    __requires(abs(rop->_mp_size) <= GMP_LIMBS && abs(op1->_mp_size) <= GMP_LIMBS);
void __gmpz_mul_2exp(mpz_ptr rop, mpz_srcptr op1, mp_bitcnt_t op2)
    __requires(64 * abs(op1->_mp_size) + op2 <= 64 * GMP_LIMBS);

/* Quotients and remainders */
void __gmpz_tdiv_q(mpz_ptr q, mpz_srcptr n, mpz_srcptr d)
    __requires(d->_mp_size != 0 && abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
void __gmpz_tdiv_r(mpz_ptr r, mpz_srcptr n, mpz_srcptr d)
    __requires(d->_mp_size != 0 && abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
void __gmpz_fdiv_q(mpz_ptr q, mpz_srcptr n, mpz_srcptr d)
    __requires(d->_mp_size != 0 && abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
void __gmpz_fdiv_r(mpz_ptr r, mpz_srcptr n, mpz_srcptr d)
    __requires(d->_mp_size != 0 && abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
void __gmpz_cdiv_q(mpz_ptr q, mpz_srcptr n, mpz_srcptr d)
    __requires(d->_mp_size != 0 && abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
void __gmpz_mod(mpz_ptr r, mpz_srcptr n, mpz_srcptr d)
    __requires(d->_mp_size != 0 && abs(n->_mp_size) <= GMP_LIMBS && abs(d->_mp_size) <= GMP_LIMBS);
unsigned long __gmpz_tdiv_q_ui(mpz_ptr q, mpz_srcptr n, unsigned long d) __requires(d != 0);
unsigned long __gmpz_tdiv_r_ui(mpz_ptr r, mpz_srcptr n, unsigned long d) __requires(d != 0);
unsigned long __gmpz_tdiv_ui(mpz_srcptr n, unsigned long d) __requires(d != 0);
unsigned long __gmpz_fdiv_q_ui(mpz_ptr q, mpz_srcptr n, unsigned long d)
    __requires(d != 0 && abs(n->_mp_size) <= GMP_LIMBS);
unsigned long __gmpz_fdiv_r_ui(mpz_ptr r, mpz_srcptr n, unsigned long d) __requires(d != 0);
unsigned long __gmpz_fdiv_ui(mpz_srcptr n, unsigned long d) __requires(d != 0);
void __gmpz_tdiv_q_2exp(mpz_ptr q, mpz_srcptr n, mp_bitcnt_t b);
void __gmpz_fdiv_q_2exp(mpz_ptr q, mpz_srcptr n, mp_bitcnt_t b) __requires(abs(n->_mp_size) <= GMP_LIMBS);
void __gmpz_tdiv_r_2exp(mpz_ptr r, mpz_srcptr n, mp_bitcnt_t b);

/* Bits */
void __gmpz_and(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_ior(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_xor(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);

/* Powers, roots, number theory */
void __gmpz_pow_ui(mpz_ptr rop, mpz_srcptr base, unsigned long exp)
    __requires(max(abs(base->_mp_size), 1) * exp <= GMP_LIMBS);
void __gmpz_ui_pow_ui(mpz_ptr rop, unsigned long base, unsigned long exp) __requires(exp <= GMP_LIMBS);
void __gmpz_powm(mpz_ptr rop, mpz_srcptr base, mpz_srcptr exp, mpz_srcptr mod)
    __requires(mod->_mp_size != 0 && abs(mod->_mp_size) <= 512 && exp->_mp_size >= 0 && exp->_mp_size <= 512)
    __requires(abs(base->_mp_size) <= GMP_LIMBS);
void __gmpz_powm_ui(mpz_ptr rop, mpz_srcptr base, unsigned long exp, mpz_srcptr mod)
    __requires(mod->_mp_size != 0 && abs(mod->_mp_size) <= 4096 && abs(base->_mp_size) <= GMP_LIMBS);
void __gmpz_gcd(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_lcm(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(abs(op1->_mp_size) + abs(op2->_mp_size) <= GMP_LIMBS);
int __gmpz_invert(mpz_ptr rop, mpz_srcptr op1, mpz_srcptr op2)
    __requires(op2->_mp_size != 0 && abs(op1->_mp_size) <= GMP_LIMBS && abs(op2->_mp_size) <= GMP_LIMBS);
void __gmpz_sqrt(mpz_ptr rop, mpz_srcptr op) __requires(op->_mp_size >= 0 && op->_mp_size <= GMP_LIMBS);
int __gmpz_root(mpz_ptr rop, mpz_srcptr op, unsigned long n)
    __requires(op->_mp_size >= 0 && op->_mp_size <= GMP_LIMBS && n > 0);
void __gmpz_nextprime(mpz_ptr rop, mpz_srcptr op) __requires(abs(op->_mp_size) <= 32);
void __gmpz_fac_ui(mpz_ptr rop, unsigned long n __range(0, 100000));
void __gmpz_fib_ui(mpz_ptr rop, unsigned long n __range(0, 4000000));
void __gmpz_bin_uiui(mpz_ptr rop, unsigned long n __range(0, 1000000), unsigned long k __range(0, 100000));

PORTCULLIS_END

#endif /* PORTCULLIS_GMP_H */
