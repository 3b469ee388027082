//! Without the feature `cranelift` nothing is measured: drawings are left.
pub mod svg;
