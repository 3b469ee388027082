/* portcullis.h: makes an interface of Portcullis an ordinary C header.
 *
 * An interface is a C header whose prototypes say what C cannot: how long a buffer is, who owns an
 * object, which values are allowed. Portcullis reads these annotations; a C or C++ compiler must
 * not see them. This header erases them, so that one file serves both:
 *
 *     #ifndef MYLIB_H
 *     #define MYLIB_H
 *     #include "portcullis.h"
 *
 *     #ifdef __PORTCULLIS__
 *     #pragma portcullis library "libmylib.so.1" module "mylib"
 *     #endif
 *     PORTCULLIS_MODULE("mylib")
 *
 *     int mylib_sum(const int *__counted_by(n) values, size_t n);
 *
 *     PORTCULLIS_END
 *     #endif
 *
 * The host grants this file; a guest includes it. Compiled with clang for wasm, every function
 * between PORTCULLIS_MODULE and PORTCULLIS_END becomes an import of that module (link with
 * -Wl,--allow-undefined); compiled for anything else, it is the library's own function. In C++ the
 * two macros also open and close extern "C".
 *
 * Portcullis itself never reads this file. It defines __PORTCULLIS__, knows what this file and the
 * standard headers declare by heart, and understands conditions, #define NAME INTEGER and #pragma
 * portcullis (hidden above because C compilers warn of pragmas that they do not know). What C
 * refuses, such as two grants of one function with different types, goes under #ifdef
 * __PORTCULLIS__ too.
 *
 * The names are those of Clang's bounds-safety and nullability, of SAL and of GCC's attributes. All
 * are reserved identifiers, and a standard library may use one as a name of its own (__value and
 * __leaf are seen in practice): include interfaces after the standard headers.
 */
#ifndef PORTCULLIS_H
#define PORTCULLIS_H

#if defined(__GNUC__) || defined(__clang__)
#pragma GCC system_header /* the names below are reserved on purpose */
#endif

/* Some toolchains define a few of these already, as Clang's attributes or as nothing. Their
 * expressions are poorer than ours (no parameter that comes later, no *p, no calls), so ours
 * must not reach them. */
#undef __counted_by
#undef __counted_by_or_null
#undef __sized_by
#undef __single
#undef __null_terminated
#undef __terminated_by
#undef __lifetimebound
#undef _Nullable
#undef _Nonnull
#undef _In_
#undef _Out_
#undef _Inout_

/* Bounds and values */
#define __counted_by(...)         /* pointer: so many elements must be accessible */
#define __counted_by_or_null(...) /* the same, and NULL whatever the count is */
#define __sized_by(...)           /* pointer: so many bytes must be accessible */
#define __single                  /* pointer: one object */
#define __null_terminated         /* pointer: ends with 0 or NULL */
#define __terminated_by(...)      /* array of structs: ends where this field is zero */
#define _Nullable                 /* pointer: the guest's 0 becomes NULL */
#define _Nonnull                  /* pointer: the guest's 0 is refused */
#define _In_                      /* pointer, field: native code only reads */
#define _Out_                     /* pointer, field: native code only writes */
#define _Inout_                   /* pointer, field: native code does both */
#define __range(...)              /* integer: (lo, hi) or (value); repeated: any of them */
#define __requires(...)           /* prototype: what must hold before the call */
#define __value(...)              /* parameter: native code gets this, whatever was passed */
#define __format(...)             /* variadic: (printf, position of the format, of the first argument) */

/* Lifetimes */
#define __consumes                /* handle: one ownership less after the call */
#define __consumes_if(...)        /* handle: the same, if this holds after the call */
#define __retains                 /* handle: one ownership more */
#define __drop(...)               /* typedef of a handle: what destroys one left over */
#define __borrowed                /* handle result: not owned */
#define __lifetimebound(...)      /* result, out pointer: lent by this handle, or by static */
#define __invalidates             /* handle: the call ends what the handle lent */
#define __captured_by(...)        /* handle, const data, callback: kept while this lives */
#define __escapes                 /* the same, kept for ever */
#define __freed_by(...)           /* returned or out pointer: copied to the guest, then freed so */
#define __boxed                   /* struct typedef: lives in native memory, mirrored to the guest */
#define __private                 /* field of a boxed struct: not mirrored */
#define __remember(...)           /* handle: (name = integer), read as h.name later */
#define __exclusive               /* handle: never in two calls at once */
#define __handle                  /* typedef of int: names a resource; the guest has a handle */

/* Calls back and the rest */
#define __cookie                  /* void *: an integer of the guest that C only carries */
#define __closure(...)            /* void *: the cookie of this callback */
#define __on_trap(...)            /* callback: what C gets when it trapped */
#define __leaf                    /* prototype: never calls back */
#define __errno                   /* prototype: errno after the call is kept for the guest */
#define __fuel(...)               /* prototype: so much of the guest's fuel is charged before a call */
#define __host_only               /* field: the guest does not have it */

/* PORTCULLIS_MODULE("zlib"): what is declared from here to PORTCULLIS_END is imported from that
 * module. It is the module of the interface's pragma, or the file name of its library. */
#ifdef __cplusplus
#define PORTCULLIS_EXTERN_C_BEGIN extern "C" {
#define PORTCULLIS_EXTERN_C_END }
#else
#define PORTCULLIS_EXTERN_C_BEGIN
#define PORTCULLIS_EXTERN_C_END
#endif

#if defined(__wasm__) && defined(__clang__)
#define PORTCULLIS_PRAGMA(text) _Pragma(#text)
#define PORTCULLIS_MODULE(name)                                                                 \
    PORTCULLIS_EXTERN_C_BEGIN                                                                   \
    PORTCULLIS_PRAGMA(clang attribute push(__attribute__((import_module(name))), apply_to = function))
#define PORTCULLIS_END                                                                          \
    _Pragma("clang attribute pop")                                                              \
    PORTCULLIS_EXTERN_C_END
#else
#define PORTCULLIS_MODULE(name) PORTCULLIS_EXTERN_C_BEGIN
#define PORTCULLIS_END PORTCULLIS_EXTERN_C_END
#endif

#endif /* PORTCULLIS_H */
