;; The same by plain names: the prototypes come from the interface that the host grants, and
;; "libm" is the interface's own name for the library.
(module
  (import "libm" "cos" (func $cos (param f64) (result f64)))
  (import "libm" "frexp" (func $frexp (param f64 i32) (result f64)))
  (memory (export "memory") 1)

  (func (export "cos_of") (param f64) (result f64)
    (call $cos (local.get 0)))

  ;; frexp(x, &exponent) with its out parameter at address 16 of the guest's memory.
  (func (export "frexp_of") (param f64) (result f64 i32)
    (call $frexp (local.get 0) (i32.const 16))
    (i32.load (i32.const 16))))
