/* libm.h: the C mathematics library, all functions of math.h and complex.h.
 *
 * Grants: pure computation. A guest reads and writes nothing but its own memory.
 *
 * Powers of the library's own: none. Worth knowing all the same:
 *  - lgamma, gamma and their float forms also write the process-wide `signgam`. Guests cannot
 *    read it; lgamma_r gives the sign without it.
 *  - jn and yn take time in proportion to n. Like all native code they are not interrupted by fuel
 *    or epochs.
 *
 * Left out:
 *  - The long double functions that write one through a pointer (modfl, sincosl), and those of complex.h: with
 *    the next version of Portcullis.
 *  - errno: domain and range errors show in the result (NaN, infinity), and keeping errno would
 *    make every call dearer. Floating-point exceptions and rounding modes (fenv.h): they belong
 *    to the host's thread.
 *  - fpclassify, isfinite, signbit, isless and the other macros of math.h: a guest's compiler does
 *    these in a few instructions.
 *  - the _Float32, _Float64 names: other spellings of the functions below.
 *
 * `check` compares with glibc. The newest functions are those of glibc 2.35 (fmaximum, ffma); where the
 * library lacks one, only guests that import it fail.
 *
 * For guests in C: wasi-libc has functions of the same names, and a linker prefers a definition to
 * an import. Include this file in a guest without a C library, or import single functions by
 * prototype under names of your own:
 *
 *     __attribute__((import_module("libm"), import_name("cos"))) double native_cos(double x);
 */
#ifndef PORTCULLIS_LIBM_H
#define PORTCULLIS_LIBM_H

#include <stdint.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libm.so.6" module "libm" also "libc.so.6"
#endif
PORTCULLIS_MODULE("libm")

/* Angles */
double sin(double x);
float sinf(float x);
long double sinl(long double x);
double cos(double x);
float cosf(float x);
long double cosl(long double x);
double tan(double x);
float tanf(float x);
long double tanl(long double x);
void sincos(double x, double *_Out_ sine, double *_Out_ cosine);
void sincosf(float x, float *_Out_ sine, float *_Out_ cosine);
double asin(double x);
float asinf(float x);
long double asinl(long double x);
double acos(double x);
float acosf(float x);
long double acosl(long double x);
double atan(double x);
float atanf(float x);
long double atanl(long double x);
double atan2(double y, double x);
float atan2f(float y, float x);
long double atan2l(long double y, long double x);

/* Hyperbolic functions */
double sinh(double x);
float sinhf(float x);
long double sinhl(long double x);
double cosh(double x);
float coshf(float x);
long double coshl(long double x);
double tanh(double x);
float tanhf(float x);
long double tanhl(long double x);
double asinh(double x);
float asinhf(float x);
long double asinhl(long double x);
double acosh(double x);
float acoshf(float x);
long double acoshl(long double x);
double atanh(double x);
float atanhf(float x);
long double atanhl(long double x);

/* Exponentials and logarithms */
double exp(double x);
float expf(float x);
long double expl(long double x);
double exp2(double x);
float exp2f(float x);
long double exp2l(long double x);
double exp10(double x);
float exp10f(float x);
long double exp10l(long double x);
double expm1(double x);
float expm1f(float x);
long double expm1l(long double x);
double log(double x);
float logf(float x);
long double logl(long double x);
double log2(double x);
float log2f(float x);
long double log2l(long double x);
double log10(double x);
float log10f(float x);
long double log10l(long double x);
double log1p(double x);
float log1pf(float x);
long double log1pl(long double x);

/* Powers and roots */
double pow(double x, double y);
float powf(float x, float y);
long double powl(long double x, long double y);
double sqrt(double x);
float sqrtf(float x);
long double sqrtl(long double x);
double cbrt(double x);
float cbrtf(float x);
long double cbrtl(long double x);
double hypot(double x, double y);
float hypotf(float x, float y);
long double hypotl(long double x, long double y);

/* Errors and gammas */
double erf(double x);
float erff(float x);
long double erfl(long double x);
double erfc(double x);
float erfcf(float x);
long double erfcl(long double x);
double tgamma(double x);
float tgammaf(float x);
long double tgammal(long double x);
double lgamma(double x);
float lgammaf(float x);
long double lgammal(long double x);
double lgamma_r(double x, int *_Out_ sign);
float lgammaf_r(float x, int *_Out_ sign);
double gamma(double x);
float gammaf(float x);
long double gammal(long double x);

/* Bessel functions */
double j0(double x);
float j0f(float x);
long double j0l(long double x);
double j1(double x);
float j1f(float x);
long double j1l(long double x);
double jn(int n, double x);
float jnf(int n, float x);
long double jnl(int n, long double x);
double y0(double x);
float y0f(float x);
long double y0l(long double x);
double y1(double x);
float y1f(float x);
long double y1l(long double x);
double yn(int n, double x);
float ynf(int n, float x);
long double ynl(int n, long double x);

/* Rounding to an integer. A `long` that a 32-bit guest cannot hold traps; the ll forms never do. */
double ceil(double x);
float ceilf(float x);
long double ceill(long double x);
double floor(double x);
float floorf(float x);
long double floorl(long double x);
double trunc(double x);
float truncf(float x);
long double truncl(long double x);
double round(double x);
float roundf(float x);
long double roundl(long double x);
double roundeven(double x);
float roundevenf(float x);
long double roundevenl(long double x);
double rint(double x);
float rintf(float x);
long double rintl(long double x);
double nearbyint(double x);
float nearbyintf(float x);
long double nearbyintl(long double x);
long lrint(double x);
long lrintf(float x);
long lrintl(long double x);
long lround(double x);
long lroundf(float x);
long lroundl(long double x);
long long llrint(double x);
long long llrintf(float x);
long long llrintl(long double x);
long long llround(double x);
long long llroundf(float x);
long long llroundl(long double x);
#define FP_INT_UPWARD 0
#define FP_INT_DOWNWARD 1
#define FP_INT_TOWARDZERO 2
#define FP_INT_TONEARESTFROMZERO 3
#define FP_INT_TONEAREST 4
intmax_t fromfp(double x, int mode __range(0, 4), unsigned int width);
intmax_t fromfpf(float x, int mode __range(0, 4), unsigned int width);
intmax_t fromfpl(long double x, int mode __range(0, 4), unsigned int width);
intmax_t fromfpx(double x, int mode __range(0, 4), unsigned int width);
intmax_t fromfpxf(float x, int mode __range(0, 4), unsigned int width);
intmax_t fromfpxl(long double x, int mode __range(0, 4), unsigned int width);
uintmax_t ufromfp(double x, int mode __range(0, 4), unsigned int width);
uintmax_t ufromfpf(float x, int mode __range(0, 4), unsigned int width);
uintmax_t ufromfpl(long double x, int mode __range(0, 4), unsigned int width);
uintmax_t ufromfpx(double x, int mode __range(0, 4), unsigned int width);
uintmax_t ufromfpxf(float x, int mode __range(0, 4), unsigned int width);
uintmax_t ufromfpxl(long double x, int mode __range(0, 4), unsigned int width);

/* Remainders and parts */
double fmod(double x, double y);
float fmodf(float x, float y);
long double fmodl(long double x, long double y);
double remainder(double x, double y);
float remainderf(float x, float y);
long double remainderl(long double x, long double y);
double drem(double x, double y);
float dremf(float x, float y);
long double dreml(long double x, long double y);
double remquo(double x, double y, int *_Out_ quotient);
float remquof(float x, float y, int *_Out_ quotient);
long double remquol(long double x, long double y, int *_Out_ quotient);
double modf(double x, double *_Out_ whole);
float modff(float x, float *_Out_ whole);
double frexp(double x, int *_Out_ exponent);
float frexpf(float x, int *_Out_ exponent);
long double frexpl(long double x, int *_Out_ exponent);
double ldexp(double x, int exponent);
float ldexpf(float x, int exponent);
long double ldexpl(long double x, int exponent);
double scalbn(double x, int n);
float scalbnf(float x, int n);
long double scalbnl(long double x, int n);
double scalbln(double x, long n);
float scalblnf(float x, long n);
long double scalblnl(long double x, long n);
double scalb(double x, double n);
float scalbf(float x, float n);
long double scalbl(long double x, long double n);
double significand(double x);
float significandf(float x);
long double significandl(long double x);
double logb(double x);
float logbf(float x);
long double logbl(long double x);
int ilogb(double x);
int ilogbf(float x);
int ilogbl(long double x);
long llogb(double x);
long llogbf(float x);
long llogbl(long double x);

/* Sign, distance, order */
double fabs(double x);
float fabsf(float x);
long double fabsl(long double x);
double copysign(double x, double y);
float copysignf(float x, float y);
long double copysignl(long double x, long double y);
double fdim(double x, double y);
float fdimf(float x, float y);
long double fdiml(long double x, long double y);
double fmax(double x, double y);
float fmaxf(float x, float y);
long double fmaxl(long double x, long double y);
double fmin(double x, double y);
float fminf(float x, float y);
long double fminl(long double x, long double y);
double fmaximum(double x, double y);
float fmaximumf(float x, float y);
long double fmaximuml(long double x, long double y);
double fminimum(double x, double y);
float fminimumf(float x, float y);
long double fminimuml(long double x, long double y);
double fmaximum_num(double x, double y);
float fmaximum_numf(float x, float y);
long double fmaximum_numl(long double x, long double y);
double fminimum_num(double x, double y);
float fminimum_numf(float x, float y);
long double fminimum_numl(long double x, long double y);
double fmaximum_mag(double x, double y);
float fmaximum_magf(float x, float y);
long double fmaximum_magl(long double x, long double y);
double fminimum_mag(double x, double y);
float fminimum_magf(float x, float y);
long double fminimum_magl(long double x, long double y);
double fmaximum_mag_num(double x, double y);
float fmaximum_mag_numf(float x, float y);
long double fmaximum_mag_numl(long double x, long double y);
double fminimum_mag_num(double x, double y);
float fminimum_mag_numf(float x, float y);
long double fminimum_mag_numl(long double x, long double y);
double fmaxmag(double x, double y);
float fmaxmagf(float x, float y);
long double fmaxmagl(long double x, long double y);
double fminmag(double x, double y);
float fminmagf(float x, float y);
long double fminmagl(long double x, long double y);

/* Neighbours */
double nextafter(double x, double toward);
float nextafterf(float x, float toward);
long double nextafterl(long double x, long double toward);
double nexttoward(double x, long double toward);
float nexttowardf(float x, long double toward);
long double nexttowardl(long double x, long double toward);
double nextup(double x);
float nextupf(float x);
long double nextupl(long double x);
double nextdown(double x);
float nextdownf(float x);
long double nextdownl(long double x);

/* Fused and narrowing arithmetic */
double fma(double x, double y, double z);
float fmaf(float x, float y, float z);
long double fmal(long double x, long double y, long double z);
float fadd(double x, double y);
float fsub(double x, double y);
float fmul(double x, double y);
float fdiv(double x, double y);
float fsqrt(double x);
float ffma(double x, double y, double z);

/* Not a number, encodings */
double nan(const char *tag);
float nanf(const char *tag);
long double nanl(const char *tag);
int isnan(double x);
int isnanf(float x);
int isnanl(long double x);
int isinf(double x);
int isinff(float x);
int isinfl(long double x);
int finite(double x);
int finitef(float x);
int finitel(long double x);
int canonicalize(double *_Out_ result, const double *x);
int canonicalizef(float *_Out_ result, const float *x);
int totalorder(const double *x, const double *y);
int totalorderf(const float *x, const float *y);
int totalordermag(const double *x, const double *y);
int totalordermagf(const float *x, const float *y);
double getpayload(const double *x);
float getpayloadf(const float *x);
int setpayload(double *_Out_ result, double payload);
int setpayloadf(float *_Out_ result, float payload);
int setpayloadsig(double *_Out_ result, double payload);
int setpayloadsigf(float *_Out_ result, float payload);

/* Complex numbers */
double cabs(double _Complex z);
float cabsf(float _Complex z);
double carg(double _Complex z);
float cargf(float _Complex z);
double cimag(double _Complex z);
float cimagf(float _Complex z);
double creal(double _Complex z);
float crealf(float _Complex z);
double _Complex cacos(double _Complex z);
float _Complex cacosf(float _Complex z);
double _Complex cacosh(double _Complex z);
float _Complex cacoshf(float _Complex z);
double _Complex casin(double _Complex z);
float _Complex casinf(float _Complex z);
double _Complex casinh(double _Complex z);
float _Complex casinhf(float _Complex z);
double _Complex catan(double _Complex z);
float _Complex catanf(float _Complex z);
double _Complex catanh(double _Complex z);
float _Complex catanhf(float _Complex z);
double _Complex ccos(double _Complex z);
float _Complex ccosf(float _Complex z);
double _Complex ccosh(double _Complex z);
float _Complex ccoshf(float _Complex z);
double _Complex cexp(double _Complex z);
float _Complex cexpf(float _Complex z);
double _Complex clog(double _Complex z);
float _Complex clogf(float _Complex z);
double _Complex conj(double _Complex z);
float _Complex conjf(float _Complex z);
double _Complex cproj(double _Complex z);
float _Complex cprojf(float _Complex z);
double _Complex csin(double _Complex z);
float _Complex csinf(float _Complex z);
double _Complex csinh(double _Complex z);
float _Complex csinhf(float _Complex z);
double _Complex csqrt(double _Complex z);
float _Complex csqrtf(float _Complex z);
double _Complex ctan(double _Complex z);
float _Complex ctanf(float _Complex z);
double _Complex ctanh(double _Complex z);
float _Complex ctanhf(float _Complex z);
double _Complex cpow(double _Complex x, double _Complex y);
float _Complex cpowf(float _Complex x, float _Complex y);

PORTCULLIS_END

#endif /* PORTCULLIS_LIBM_H */
