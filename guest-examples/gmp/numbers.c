// Large numbers, by the GMP of the host: digits of pi, factorials, Fibonacci numbers, RSA with toy keys.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef USE_SYSTEM_GMP_H
#include <gmp.h>
#else
#include "gmp.h"
#endif

// Prints a number, in lines of 70 digits.
static void print(const char *name, mpz_srcptr number)
{
    char *text = malloc(mpz_sizeinbase(number, 10) + 2);
    if (text == NULL)
        exit(EXIT_FAILURE);
    mpz_get_str(text, 10, number);
    printf("%s\n", name);
    for (const char *line = text; *line != '\0'; line += strlen(line) < 70 ? strlen(line) : 70)
        printf("  %.70s\n", line);
    free(text);
}

// unity * arctan(1/x), by Gregory's series.
static void arctan(mpz_ptr sum, unsigned long x, mpz_srcptr unity)
{
    mpz_t power, term;
    mpz_init(power);
    mpz_init(term);
    mpz_tdiv_q_ui(power, unity, x);
    mpz_set(sum, power);
    for (unsigned long n = 3; mpz_sgn(power) != 0; n += 2) {
        mpz_tdiv_q_ui(power, power, x * x);
        mpz_tdiv_q_ui(term, power, n);
        if (n % 4 == 3)
            mpz_sub(sum, sum, term);
        else
            mpz_add(sum, sum, term);
    }
    mpz_clear(power);
    mpz_clear(term);
}

// Machin: pi / 4 = 4 arctan(1/5) - arctan(1/239). Ten digits more are computed than are printed.
static void pi(unsigned long digits)
{
    mpz_t unity, a, b;
    mpz_init(a);
    mpz_init(b);
    mpz_init(unity);
    mpz_ui_pow_ui(unity, 10, digits + 10);
    arctan(a, 5, unity);
    arctan(b, 239, unity);
    mpz_mul_ui(a, a, 4);
    mpz_sub(a, a, b);
    mpz_mul_ui(a, a, 4);
    mpz_ui_pow_ui(b, 10, 10);
    mpz_tdiv_q(a, a, b);
    print("pi, 1000 digits", a);
    mpz_clear(a);
    mpz_clear(b);
    mpz_clear(unity);
}

static void sequences(void)
{
    mpz_t a, b;
    mpz_init_set_ui(a, 1);
    mpz_init(b);
    for (unsigned long n = 2; n <= 100; n++)
        mpz_mul_ui(a, a, n);
    print("100!", a);
    mpz_fac_ui(b, 100);
    printf("  the same by mpz_fac_ui: %s\n", mpz_cmp(a, b) == 0 ? "yes" : "no");
    mpz_fac_ui(a, 20000);
    printf("20000! has %lu digits\n", (unsigned long)mpz_sizeinbase(a, 10));

    // The same number is source and destination, and both sources.
    mpz_set_ui(a, 0);
    mpz_set_ui(b, 1);
    for (int n = 0; n < 500; n++) {
        mpz_add(a, a, b);
        mpz_swap(a, b);
    }
    print("Fibonacci 500", a);
    mpz_set_ui(a, 3);
    for (int n = 0; n < 7; n++)
        mpz_mul(a, a, a);
    print("3 to the 128th", a);
    mpz_neg(a, a);
    printf("  negated: sign %d, odd: %s\n", mpz_sgn(a), mpz_odd_p(a) ? "yes" : "no");
    mpz_clear(a);
    mpz_clear(b);
}

static void rsa(const char *message)
{
    mpz_t p, q, n, phi, e, d, m, c;
    mpz_init_set_str(p, "170141183460469231731687303715884105727", 10); // 2^127 - 1
    mpz_init_set_str(q, "0x1" "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
                        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 0); // 2^521 - 1
    mpz_init(n);
    mpz_init(phi);
    mpz_init_set_ui(e, 65537);
    mpz_init(d);
    mpz_init(m);
    mpz_init(c);
    printf("RSA: both primes: %s\n",
           mpz_probab_prime_p(p, 30) && mpz_probab_prime_p(q, 30) ? "yes" : "no");
    mpz_mul(n, p, q);
    mpz_sub_ui(p, p, 1);
    mpz_sub_ui(q, q, 1);
    mpz_lcm(phi, p, q);
    printf("  e has an inverse: %s\n", mpz_invert(d, e, phi) ? "yes" : "no");
    mpz_import(m, strlen(message), 1, 1, 0, 0, message);
    mpz_powm(c, m, e, n);
    print("  encrypted", c);
    mpz_powm(c, c, d, n);
    printf("  decrypted: %s", mpz_cmp(c, m) == 0 ? "the same, " : "something else, ");
    char text[128];
    size_t length = 0;
    mpz_export(text, &length, 1, 1, 0, 0, c);
    printf("\"%.*s\"\n", (int)length, text);

    // An mpz_t is a name: the copy's name is the number's.
    mpz_t other;
    memcpy(other, c, sizeof other);
    printf("  a copy of its mpz_t: %s\n", mpz_cmp(other, m) == 0 ? "the same number" : "another number");
    mpz_ptr all[] = { p, q, n, phi, e, d, m, c };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mpz_clear(all[i]);
}

int main(void)
{
    pi(1000);
    sequences();
    rsa("Large numbers are lent, not copied.");
    return EXIT_SUCCESS;
}
