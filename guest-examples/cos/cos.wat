;; The whole guest: the import's name is the C prototype, its module the library.
(module
  (import "libm.so.6" "double cos(double)"
    (func $cos (param f64) (result f64)))

  (func (export "cos_of") (param f64) (result f64)
    (call $cos (local.get 0))))
