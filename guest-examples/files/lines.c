// Lines into a file of the host and out of it, through the streams of the host's C library.
//
// wasi-libc has functions of the same names, which open what WASI allows. The host's get names of their own
// here; natively they are just those of the C library.
#include <stdio.h>
#include <string.h>

#ifdef __wasm__
typedef struct host_file host_file;
#define HOST(result, name, ...) \
    __attribute__((import_module("files"), import_name(#name))) extern result host_##name(__VA_ARGS__)
HOST(host_file *, tmpfile, void);
HOST(host_file *, fopen, const char *path, const char *mode);
HOST(int, fclose, host_file *stream);
HOST(int, fputs, const char *text, host_file *stream);
HOST(int, fputc, int c, host_file *stream);
HOST(char *, fgets, char *text, int n, host_file *stream);
HOST(size_t, fread, void *data, size_t size, size_t n, host_file *stream);
HOST(size_t, fwrite, const void *data, size_t size, size_t n, host_file *stream);
HOST(int, fseek, host_file *stream, long offset, int whence);
HOST(long, ftell, host_file *stream);
HOST(void, rewind, host_file *stream);
HOST(int, feof, host_file *stream);
#else
typedef FILE host_file;
#define host_tmpfile tmpfile
#define host_fopen fopen
#define host_fclose fclose
#define host_fputs fputs
#define host_fputc fputc
#define host_fgets fgets
#define host_fread fread
#define host_fwrite fwrite
#define host_fseek fseek
#define host_ftell ftell
#define host_rewind rewind
#define host_feof feof
#endif

int main(void)
{
    host_file *file = host_tmpfile();
    if (!file)
        return 1;
    host_fputs("one\ntwo\n", file);
    const int numbers[] = { 3, 33, 333 };
    for (int i = 0; i < 3; i++) {
        char line[16];
        snprintf(line, sizeof line, "%d", numbers[i]);
        host_fwrite(line, 1, strlen(line), file);
        host_fputc('\n', file);
    }
    printf("written: %ld bytes\n", host_ftell(file));

    host_rewind(file);
    char line[8];
    for (int number = 1; host_fgets(line, sizeof line, file); number++)
        printf("%d: %s", number, line);
    printf("at the end: %s\n", host_feof(file) ? "yes" : "no");

    host_fseek(file, -4, SEEK_END);
    size_t read = host_fread(line, 1, sizeof line, file);
    printf("the last %zu bytes: %.3s\n", read, line);
    printf("closed: %d\n", host_fclose(file));

    file = host_fopen("/no/such/file", "r");
    printf("what is not there: %s\n", file ? "opened" : "not opened");
    return 0;
}
