//! Assignments: where a C ABI puts every byte of every argument and result.
//!
//! One ABI, one file. An assignment is data; it says nothing of how values are fetched from a guest,
//! checked or extended (the plan), nor of the code that loads the registers (the call stub and the
//! trampolines). Sizes and offsets come from [`super::layout`].
//!
//! Registers are numbered in the order in which the ABI hands them out, parameters and results
//! apart: on x86-64 [`Location::Integer`]`(0)` of a parameter is `rdi`, of a result `rax`.
//! [`Abi::register_name`] gives the names.
use super::layout::{Extent, LayoutError, Scalar, scalar_of};
use crate::signature::{Float, Function, Integer, Scope, Span, Type, TypeKind, Variadic};

mod aapcs64;
mod agreed;
mod print;
mod sysv_x86_64;

pub use print::describe;

/// A C calling convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    /// x86-64 as Linux, the BSDs and macOS call: the System V psABI.
    SysvX86_64,
    /// 64-bit Arm as Linux calls: AAPCS64.
    Aapcs64,
}

impl Abi {
    /// Every ABI that assignments can be made for.
    pub const ALL: [Abi; 2] = [Abi::SysvX86_64, Abi::Aapcs64];

    /// The ABI of the machine that this was compiled for; `None` when it is none of these.
    #[must_use]
    pub fn host() -> Option<Abi> {
        if cfg!(all(target_arch = "x86_64", unix)) {
            Some(Abi::SysvX86_64)
        } else if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
            Some(Abi::Aapcs64)
        } else {
            None
        }
    }

    /// The ABI of this machine, or that of x86-64 where there is none: good for showing plans, not
    /// for running them.
    #[must_use]
    pub fn host_or_default() -> Abi {
        Abi::host().unwrap_or(Abi::SysvX86_64)
    }

    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Abi::SysvX86_64 => "System V x86-64",
            Abi::Aapcs64 => "AAPCS64",
        }
    }

    /// Whether a scalar is a signed integer on such a host. Plain `char` is signed on x86-64 and in
    /// wasm, and unsigned on 64-bit Arm.
    #[must_use]
    pub fn is_signed(self, scalar: Scalar) -> bool {
        match (self, scalar) {
            (Abi::Aapcs64, Scalar::Integer(Integer::Char)) => false,
            _ => scalar.is_signed(),
        }
    }

    /// How many registers of each kind carry parameters: integer registers (with the one that only
    /// ever holds the address of a result), vector registers.
    #[must_use]
    pub fn register_count(self) -> (u8, u8) {
        match self {
            Abi::SysvX86_64 => (sysv_x86_64::INTEGER_COUNT, sysv_x86_64::VECTOR_COUNT),
            Abi::Aapcs64 => (aapcs64::INTEGER_COUNT + 1, aapcs64::VECTOR_COUNT),
        }
    }

    /// The name of the register of a parameter or result; `None` for the stack and for registers
    /// that the ABI has not.
    #[must_use]
    pub fn register_name(self, location: Location, role: Role) -> Option<&'static str> {
        match self {
            Abi::SysvX86_64 => sysv_x86_64::register_name(location, role),
            Abi::Aapcs64 => aapcs64::register_name(location, role),
        }
    }
}

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Into the function; the address of a hidden result too.
    Parameter,
    /// Out of it.
    Result,
}

/// Where a piece of a value travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// The general-purpose register of that number. On 64-bit Arm number 8 is `x8`, which holds the
    /// address of a hidden result and nothing else.
    Integer(u8),
    /// The vector register of that number.
    Vector(u8),
    /// The x87 register of that number; results on x86-64 only.
    X87(u8),
    /// The stack, so many bytes above the first stack argument.
    Stack(u32),
}

/// A run of bytes of a value and where they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Offset of the first byte in the value.
    pub offset: u32,
    /// How many bytes. The rest of the register or slot is padding, but see
    /// [`Value::scalar`].
    pub size: u32,
    /// Where they travel; in a register they are its low bytes.
    pub location: Location,
}

/// How one argument, or the result, travels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    /// Size and alignment of its type on the host. Zero for `void`.
    pub extent: Extent,
    /// The scalar that it is, if it is one. Integers narrower than 32 bits must be extended to 32
    /// by whoever passes them (clang's callees on x86-64 rely on it, although the psABI only asks
    /// it of `bool`), and have garbage above them when they are returned.
    pub scalar: Option<Scalar>,
    /// Its pieces in the order of their offsets: one of a scalar, several of an aggregate, none of
    /// `void`, of an empty struct, and of what travels by address.
    pub pieces: Vec<Piece>,
    /// Where its address travels, when the value itself stays in memory: of a parameter, the
    /// address of a copy that the caller makes; of a result, the address that the *caller* passes
    /// in for the callee to write to (a [`Role::Parameter`] location).
    pub indirect: Option<Location>,
}

/// Where one signature puts everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The parameters in order; those of a typed variadic tail follow the named ones.
    pub params: Vec<Value>,
    /// The result.
    pub result: Value,
    /// Bytes of stack arguments: a multiple of [`Assignment::stack_align`].
    pub stack_size: u32,
    /// Alignment of the first stack argument: 16, or more when an argument asks for it.
    pub stack_align: u32,
    /// Integer registers that carry parameters, `x8` not among them.
    pub integer_registers: u8,
    /// Vector registers that carry parameters: what `al` says to a variadic function on x86-64.
    pub vector_registers: u8,
}

/// Stack arguments of one call may take so many bytes; no real function comes near.
pub const MAX_STACK: u32 = 1 << 20;

/// Why a signature has no assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbiError {
    /// A type has no layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A type that is not passed by value.
    #[error("{what} cannot be passed by value: pass a pointer to it")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// Where it stands.
        span: Span,
    },
    /// A type that compilers of this ABI pass in different ways.
    #[error("compilers pass {what} by value in different ways: pass a pointer to it")]
    Disputed {
        /// What it is.
        what: &'static str,
        /// Where it stands.
        span: Span,
    },
    /// More stack arguments than [`MAX_STACK`].
    #[error("the arguments take more than {MAX_STACK} bytes of stack")]
    TooMuchStack {
        /// The argument that is too much.
        span: Span,
    },
    /// A type in a variadic tail that C promotes to another before it is passed.
    #[error("`...` never passes this type: C promotes it to `{promoted}`")]
    Unpromoted {
        /// What C passes.
        promoted: &'static str,
        /// Where the type stands.
        span: Span,
    },
}

impl AbiError {
    /// Where the trouble is.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            AbiError::Layout(error) => error.span,
            AbiError::Unsupported { span, .. }
            | AbiError::Disputed { span, .. }
            | AbiError::TooMuchStack { span }
            | AbiError::Unpromoted { span, .. } => *span,
        }
    }
}

/// Where `abi` puts the parameters and the result of `function`. Of `...` without types only the
/// named parameters are placed.
///
/// # Errors
/// When a type has no layout or cannot be passed, and when there is too much of it.
pub fn assign(function: &Function, scope: &Scope, abi: Abi) -> Result<Assignment, AbiError> {
    match abi {
        Abi::SysvX86_64 => sysv_x86_64::assign(function, scope),
        Abi::Aapcs64 => aapcs64::assign(function, scope),
    }
}

/// The types of all parameters, those of a typed tail after the named ones.
fn parameter_types(function: &Function) -> Result<impl Iterator<Item = &Type>, AbiError> {
    let tail = match &function.variadic {
        Variadic::Typed(tail) => tail.as_slice(),
        Variadic::No | Variadic::Untyped(_) => &[],
    };
    for ty in tail {
        let promoted = match scalar_of(ty) {
            Some(Scalar::Float(Float::Float)) => "double",
            Some(Scalar::Bool) => "int",
            Some(scalar @ Scalar::Integer(_)) if scalar.host_size() < 4 => "int",
            _ => continue,
        };
        return Err(AbiError::Unpromoted { promoted, span: ty.span });
    }
    Ok(function.params.iter().map(|param| &param.ty).chain(tail))
}

fn unsupported(ty: &Type) -> AbiError {
    let what = match &ty.kind {
        TypeKind::Record(_) => "structs and unions",
        TypeKind::Complex(_) => "complex numbers",
        TypeKind::Vector { .. } => "vectors",
        TypeKind::Void => "`void`",
        TypeKind::Array { .. } => "arrays",
        TypeKind::Function(_) => "functions",
        TypeKind::Float(_) => "`long double`",
        TypeKind::Bool | TypeKind::Integer(_) | TypeKind::Enum(_) | TypeKind::Pointer(_) => {
            "128-bit integers"
        }
    };
    AbiError::Unsupported { what, span: ty.span }
}

/// The stack area of a call, as far as the parameters have filled it.
#[derive(Debug)]
struct StackArea {
    size: u32,
    align: u32,
}

impl StackArea {
    /// Both ABIs keep the stack pointer 16-aligned at a call, and give every argument slots of 8
    /// bytes.
    const ALIGN: u32 = 16;
    const SLOT: u32 = 8;

    fn new() -> Self {
        StackArea { size: 0, align: Self::ALIGN }
    }

    /// Takes room for a value of that extent.
    fn take(&mut self, size: u64, align: u32, span: Span) -> Result<Location, AbiError> {
        let align = align.max(Self::SLOT);
        let start = u64::from(self.size).next_multiple_of(align.into());
        let end = (start + size).next_multiple_of(Self::SLOT.into());
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) if end <= MAX_STACK && align <= MAX_STACK => {
                self.size = end;
                self.align = self.align.max(align);
                Ok(Location::Stack(start))
            }
            _ => Err(AbiError::TooMuchStack { span }),
        }
    }

    /// Takes room for the bytes of a value, in one piece.
    fn take_whole(&mut self, extent: Extent, align: u32, span: Span) -> Result<Piece, AbiError> {
        let location = self.take(extent.size, align, span)?;
        let size = u32::try_from(extent.size).map_err(|_| AbiError::TooMuchStack { span })?;
        Ok(Piece { offset: 0, size, location })
    }

    /// Size of the whole area, rounded up so that the stack pointer stays aligned.
    fn whole(&self) -> u32 {
        self.size.next_multiple_of(self.align)
    }
}

impl Value {
    /// The result of a function that returns nothing.
    fn void() -> Value {
        Value {
            extent: Extent { size: 0, align: 1 },
            scalar: None,
            pieces: Vec::new(),
            indirect: None,
        }
    }
}

#[cfg(test)]
mod tests;
