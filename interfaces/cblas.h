/* cblas.h: linear algebra of OpenBLAS, through the C interface to BLAS.
 *
 * Grants: computation on vectors and matrices in the guest's own memory.
 *
 * Powers of the library's own: OpenBLAS starts threads when it is loaded, and large products run on all of
 * them; they touch the guest's memory during the call only. It allocates some tens of MiB for its own
 * buffers. Time grows with the product of the sizes, and fuel and epochs do not interrupt native code.
 *
 * Every bound follows from the sizes, increments and leading dimensions of the call. A vector of n elements
 * with increment i reaches over 1 + (n - 1) * |i| of them, whichever sign i has; an r by c matrix whose rows
 * start ld elements apart over (r - 1) * ld + c. The pointer is to the first of them in memory.
 *
 * Narrower than BLAS, where a careless argument would harm the host or make OpenBLAS print:
 *  - What BLAS calls illegal traps: unknown orders and transpositions, negative sizes of matrices, leading
 *    dimensions smaller than a row, increments of 0 (and below, where there is one vector).
 *  - Vectors end within 2^31 elements, OpenBLAS computes in `int`.
 *
 * Left out:
 *  - Complex numbers (arguments of type void *), other matrices than general ones (banded, symmetric,
 *    triangular), rotations: written like those below, as they are needed.
 *  - openblas_set_num_threads and its like, which act on the whole process; cblas_xerbla.
 *
 * The header is that of libopenblas.so.0 with 32-bit integers (no _64 suffix). libblas.so.3 has the same
 * functions.
 */
#ifndef PORTCULLIS_CBLAS_H
#define PORTCULLIS_CBLAS_H

#include <stddef.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libopenblas.so.0" module "cblas"
#endif
PORTCULLIS_MODULE("cblas")

#define CBLAS_INDEX size_t

typedef enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 } CBLAS_ORDER;
typedef enum CBLAS_TRANSPOSE {
    CblasNoTrans = 111,
    CblasTrans = 112,
    CblasConjTrans = 113,
    CblasConjNoTrans = 114
} CBLAS_TRANSPOSE;

/* Vectors of double */
double cblas_ddot(int n,
                  const double *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                  const double *__counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
double cblas_dnrm2(int n,
                   const double *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);
double cblas_dasum(int n,
                   const double *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);
CBLAS_INDEX cblas_idamax(int n,
                         const double *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);
void cblas_daxpy(int n, double alpha,
                 const double *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 double *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_dcopy(int n,
                 const double *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 double *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_dswap(int n,
                 double *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 double *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_dscal(int n, double alpha,
                 double *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);

/* Y = alpha A X + beta Y, where A is M by N and may be transposed; A += alpha X Y' */
void cblas_dgemv(
    CBLAS_ORDER order __range(101, 102), CBLAS_TRANSPOSE trans __range(111, 114), int M, int N, double alpha,
    const double *__counted_by(M > 0 && N > 0 ? (order == 101 ? (M - 1) * lda + N : (N - 1) * lda + M) : 0) A,
    int lda,
    const double *__counted_by(max(0, 1 + ((trans == 112 || trans == 113 ? M : N) - 1) * abs(incX))) X,
    int incX, double beta,
    double *_Inout_ __counted_by(max(0, 1 + ((trans == 112 || trans == 113 ? N : M) - 1) * abs(incY))) Y,
    int incY)
    __requires(M >= 0 && N >= 0 && lda >= max(1, order == 101 ? N : M))
    __requires(incX != 0 && incY != 0 && max(M, N) * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_dger(
    CBLAS_ORDER order __range(101, 102), int M, int N, double alpha,
    const double *__counted_by(max(0, 1 + (M - 1) * abs(incX))) X, int incX,
    const double *__counted_by(max(0, 1 + (N - 1) * abs(incY))) Y, int incY,
    double *_Inout_
        __counted_by(M > 0 && N > 0 ? (order == 101 ? (M - 1) * lda + N : (N - 1) * lda + M) : 0) A,
    int lda)
    __requires(M >= 0 && N >= 0 && lda >= max(1, order == 101 ? N : M))
    __requires(incX != 0 && incY != 0 && max(M, N) * max(abs(incX), abs(incY)) <= 0x7fffffff);

/* C = alpha A B + beta C, where A is M by K and B is K by N, once they are transposed. A matrix in rows, and
 * one in columns that is transposed, has those rows together in memory; the others have the columns. */
void cblas_dgemm(
    CBLAS_ORDER order __range(101, 102), CBLAS_TRANSPOSE transA __range(111, 114),
    CBLAS_TRANSPOSE transB __range(111, 114), int M, int N, int K, double alpha,
    const double *__counted_by(
        M > 0 && K > 0
            ? ((order == 101) == (transA == 111 || transA == 114) ? (M - 1) * lda + K : (K - 1) * lda + M)
            : 0) A,
    int lda,
    const double *__counted_by(
        K > 0 && N > 0
            ? ((order == 101) == (transB == 111 || transB == 114) ? (K - 1) * ldb + N : (N - 1) * ldb + K)
            : 0) B,
    int ldb, double beta,
    double *_Inout_
        __counted_by(M > 0 && N > 0 ? (order == 101 ? (M - 1) * ldc + N : (N - 1) * ldc + M) : 0) C,
    int ldc)
    __requires(M >= 0 && N >= 0 && K >= 0)
    __requires(lda >= max(1, (order == 101) == (transA == 111 || transA == 114) ? K : M))
    __requires(ldb >= max(1, (order == 101) == (transB == 111 || transB == 114) ? N : K))
    __requires(ldc >= max(1, order == 101 ? N : M));

/* Vectors of float */
float cblas_sdot(int n,
                 const float *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 const float *__counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
float cblas_snrm2(int n,
                  const float *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);
float cblas_sasum(int n,
                  const float *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);
CBLAS_INDEX cblas_isamax(int n,
                         const float *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);
void cblas_saxpy(int n, float alpha,
                 const float *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 float *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_scopy(int n,
                 const float *__counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 float *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_sswap(int n,
                 float *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX,
                 float *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incY))) Y, int incY)
    __requires(incX != 0 && incY != 0 && n * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_sscal(int n, float alpha,
                 float *_Inout_ __counted_by(max(0, 1 + (n - 1) * abs(incX))) X, int incX)
    __requires(incX > 0 && n * incX <= 0x7fffffff);

/* Y = alpha A X + beta Y, where A is M by N and may be transposed; A += alpha X Y' */
void cblas_sgemv(
    CBLAS_ORDER order __range(101, 102), CBLAS_TRANSPOSE trans __range(111, 114), int M, int N, float alpha,
    const float *__counted_by(M > 0 && N > 0 ? (order == 101 ? (M - 1) * lda + N : (N - 1) * lda + M) : 0) A,
    int lda,
    const float *__counted_by(max(0, 1 + ((trans == 112 || trans == 113 ? M : N) - 1) * abs(incX))) X,
    int incX, float beta,
    float *_Inout_ __counted_by(max(0, 1 + ((trans == 112 || trans == 113 ? N : M) - 1) * abs(incY))) Y,
    int incY)
    __requires(M >= 0 && N >= 0 && lda >= max(1, order == 101 ? N : M))
    __requires(incX != 0 && incY != 0 && max(M, N) * max(abs(incX), abs(incY)) <= 0x7fffffff);
void cblas_sger(
    CBLAS_ORDER order __range(101, 102), int M, int N, float alpha,
    const float *__counted_by(max(0, 1 + (M - 1) * abs(incX))) X, int incX,
    const float *__counted_by(max(0, 1 + (N - 1) * abs(incY))) Y, int incY,
    float *_Inout_
        __counted_by(M > 0 && N > 0 ? (order == 101 ? (M - 1) * lda + N : (N - 1) * lda + M) : 0) A,
    int lda)
    __requires(M >= 0 && N >= 0 && lda >= max(1, order == 101 ? N : M))
    __requires(incX != 0 && incY != 0 && max(M, N) * max(abs(incX), abs(incY)) <= 0x7fffffff);

/* C = alpha A B + beta C, where A is M by K and B is K by N, once they are transposed. A matrix in rows, and
 * one in columns that is transposed, has those rows together in memory; the others have the columns. */
void cblas_sgemm(
    CBLAS_ORDER order __range(101, 102), CBLAS_TRANSPOSE transA __range(111, 114),
    CBLAS_TRANSPOSE transB __range(111, 114), int M, int N, int K, float alpha,
    const float *__counted_by(
        M > 0 && K > 0
            ? ((order == 101) == (transA == 111 || transA == 114) ? (M - 1) * lda + K : (K - 1) * lda + M)
            : 0) A,
    int lda,
    const float *__counted_by(
        K > 0 && N > 0
            ? ((order == 101) == (transB == 111 || transB == 114) ? (K - 1) * ldb + N : (N - 1) * ldb + K)
            : 0) B,
    int ldb, float beta,
    float *_Inout_
        __counted_by(M > 0 && N > 0 ? (order == 101 ? (M - 1) * ldc + N : (N - 1) * ldc + M) : 0) C,
    int ldc)
    __requires(M >= 0 && N >= 0 && K >= 0)
    __requires(lda >= max(1, (order == 101) == (transA == 111 || transA == 114) ? K : M))
    __requires(ldb >= max(1, (order == 101) == (transB == 111 || transB == 114) ? N : K))
    __requires(ldc >= max(1, order == 101 ? N : M));

PORTCULLIS_END

#endif /* PORTCULLIS_CBLAS_H */
