// Multiplies matrices with the BLAS of the host, in every layout, and compares with three loops.
//
// All numbers are small integers, so that every sum is exact and the same in any order.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cblas.h"

enum { M = 13, N = 7, K = 10, PADDING = 3, ROOM = 32 * 32, UNTOUCHED = -999 };

static double a[ROOM], b[ROOM], c[ROOM], expected[ROOM];
static float af[ROOM], bf[ROOM], cf[ROOM];

// A number from 0 to 15, a different one each time.
static int next(void)
{
    static unsigned state = 1;
    state = state * 1103515245u + 12345u;
    return (int)(state >> 16) & 15;
}

// Where row i, column j of a stored matrix is.
static int at(CBLAS_ORDER order, int ld, int i, int j)
{
    return order == CblasRowMajor ? i * ld + j : j * ld + i;
}

// Element i, j of a matrix that may be stored transposed.
static double element(const double *x, CBLAS_ORDER order, CBLAS_TRANSPOSE trans, int ld, int i, int j)
{
    return trans == CblasNoTrans ? x[at(order, ld, i, j)] : x[at(order, ld, j, i)];
}

// The leading dimension of an r by c matrix after transposition.
static int leading(CBLAS_ORDER order, CBLAS_TRANSPOSE trans, int r, int c)
{
    return PADDING + ((order == CblasRowMajor) == (trans == CblasNoTrans) ? c : r);
}

static void multiply(CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb)
{
    int lda = leading(order, ta, M, K), ldb = leading(order, tb, K, N), ldc = leading(order, CblasNoTrans, M, N);
    for (int i = 0; i < ROOM; i++) {
        a[i] = next() - 8;
        b[i] = next() - 8;
        c[i] = UNTOUCHED;
        af[i] = (float)a[i];
        bf[i] = (float)b[i];
        cf[i] = UNTOUCHED;
    }
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            c[at(order, ldc, i, j)] = cf[at(order, ldc, i, j)] = 1;
    memcpy(expected, c, sizeof c);
    double trace = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += element(a, order, ta, lda, i, k) * element(b, order, tb, ldb, k, j);
            expected[at(order, ldc, i, j)] = 2 * sum - 1;
            trace += i == j ? 2 * sum - 1 : 0;
        }

    cblas_dgemm(order, ta, tb, M, N, K, 2, a, lda, b, ldb, -1, c, ldc);
    cblas_sgemm(order, ta, tb, M, N, K, 2, af, lda, bf, ldb, -1, cf, ldc);
    int wrong = 0;
    for (int i = 0; i < ROOM; i++)
        wrong += (c[i] != expected[i]) + (cf[i] != (float)expected[i]);
    printf("%s, A%s, B%s: trace %g, %d wrong\n", order == CblasRowMajor ? "rows" : "columns",
           ta == CblasNoTrans ? "" : "'", tb == CblasNoTrans ? "" : "'", trace, wrong);
}

static void vectors(void)
{
    const double x[] = { 1, 2, 3, 4, 5, 6 }, y[] = { 10, 20, 40 };
    // Every second element of x, backwards: 5, 3, 1.
    printf("dot: %g, backwards %g\n", cblas_ddot(3, x, 1, y, 1), cblas_ddot(3, x, -2, y, 1));
    const float legs[] = { 3, -4 };
    printf("norm %g, sum %g, largest at %zu\n", cblas_snrm2(2, legs, 1), cblas_sasum(2, legs, 1),
           (size_t)cblas_isamax(2, legs, 1));
    double z[] = { 1, 1, 1, 1, 1 };
    cblas_daxpy(3, 0.5, y, 1, z, 2);
    cblas_dscal(5, 2, z, 1);
    printf("axpy and scal: %g %g %g %g %g\n", z[0], z[1], z[2], z[3], z[4]);
    double copy[6];
    cblas_dcopy(6, x, -1, copy, 1);
    printf("copied backwards: %g to %g\n", copy[0], copy[5]);
}

static void matrix_and_vector(void)
{
    // 2 by 3, in rows: 1 2 3, 4 5 6.
    double matrix[] = { 1, 2, 3, 4, 5, 6 };
    const double x[] = { 1, 10, 100 }, y[] = { 1, -2 };
    double two[2] = { 1, 1 }, three[3] = { 0 };
    cblas_dgemv(CblasRowMajor, CblasNoTrans, 2, 3, 1, matrix, 3, x, 1, 1, two, 1);
    cblas_dgemv(CblasRowMajor, CblasTrans, 2, 3, 1, matrix, 3, y, 1, 0, three, -1);
    printf("A x: %g %g; A' y, backwards: %g %g %g\n", two[0], two[1], three[0], three[1], three[2]);
    cblas_dger(CblasRowMajor, 2, 3, 1, y, 1, x, 1, matrix, 3);
    printf("A + y x':");
    for (int i = 0; i < 6; i++)
        printf(" %g", matrix[i]);
    printf("\n");
}

int main(void)
{
    vectors();
    matrix_and_vector();
    const CBLAS_ORDER orders[] = { CblasRowMajor, CblasColMajor };
    const CBLAS_TRANSPOSE trans[] = { CblasNoTrans, CblasTrans };
    for (int i = 0; i < 8; i++)
        multiply(orders[i >> 2], trans[i >> 1 & 1], trans[i & 1]);
    return EXIT_SUCCESS;
}
