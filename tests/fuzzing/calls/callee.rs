//! The functions that are called: closures of libffi that do what the description of a case says, and record what
//! they received. `tests/differential/text.rs` writes the same in C.
#![expect(unsafe_code, reason = "plays a C function")]
use crate::case::{Case, Class, Count, Kind, Returned, Way, element_size};
use crate::text::pattern;
use libffi::low::ffi_cif;
use libffi::middle::{Cif, Closure, Type};
use std::cell::RefCell;
use std::ffi::c_void;

thread_local! {
    static LOG: RefCell<(Vec<u8>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// Forgets what was recorded.
pub fn forget() {
    LOG.with_borrow_mut(|log| *log = (Vec::new(), 0));
}

/// What was recorded, and how many calls there were.
pub fn recorded() -> (Vec<u8>, usize) {
    LOG.with_borrow(Clone::clone)
}

/// The description of a function.
#[derive(Debug)]
pub struct Function {
    case: Case,
}

impl Function {
    pub fn of(case: &Case) -> Function {
        Function { case: case.clone() }
    }
}

/// Its code.
#[derive(Debug)]
pub struct Callee<'a> {
    closure: Closure<'a>,
}

impl<'a> Callee<'a> {
    pub fn new(function: &'a Function) -> Callee<'a> {
        let case = &function.case;
        let types = case.params.iter().map(|param| match &param.kind {
            // Who looks at all 32 bits of a narrow argument has them extended.
            Kind::Scalar { ty, extended: true } if ty.is_signed() => Type::i32(),
            Kind::Scalar { extended: true, .. } => Type::u32(),
            Kind::Scalar { ty, .. } => match (ty.class, ty.host_size()) {
                (Class::Float, _) => Type::f32(),
                (Class::Double, _) => Type::f64(),
                (_, 1) => Type::u8(),
                (_, 2) => Type::u16(),
                (_, 4) => Type::u32(),
                _ => Type::u64(),
            },
            _ => Type::pointer(),
        });
        let types: Vec<Type> = types.collect();
        // A result comes through a wider type, where garbage may stand above it.
        let result = match case.result {
            Returned::Void => Type::void(),
            Returned::Scalar { ty, .. } if matches!(ty.class, Class::Float | Class::Double) => {
                Type::f64()
            }
            Returned::Scalar { .. } => Type::u64(),
            Returned::Inside { .. } | Returned::NoText => Type::pointer(),
        };
        Callee { closure: Closure::new(Cif::new(types, result), called, function) }
    }

    pub fn address(&self) -> *const c_void {
        *self.closure.code_ptr() as *const c_void
    }
}

fn put(bytes: &[u8]) {
    LOG.with_borrow_mut(|(log, _)| log.extend_from_slice(bytes));
}

/// # Safety
/// The arguments are those of the case's function: pointers reach as far as their annotations say.
unsafe extern "C" fn called(
    _: &ffi_cif,
    result: &mut u64,
    args: *const *const c_void,
    function: &Function,
) {
    let case = &function.case;
    LOG.with_borrow_mut(|(_, calls)| *calls += 1);
    // SAFETY: the caller's promise: there are as many as the case has parameters.
    let at = |index: usize| unsafe { (*args.add(index)).cast::<u8>() };
    // SAFETY: likewise.
    let bytes = |from: *const u8, len: usize| unsafe { std::slice::from_raw_parts(from, len) };
    // SAFETY: likewise, of a pointer.
    let pointer = |index: usize| unsafe { at(index).cast::<*mut u8>().read_unaligned() };
    let integer = |from: *const u8, ty: crate::case::Scalar| -> u64 {
        let mut all = [0; 8];
        all[..ty.host_size()].copy_from_slice(bytes(from, ty.host_size()));
        let unused = 64 - 8 * u32::try_from(ty.host_size()).expect("small");
        let value = u64::from_le_bytes(all);
        if ty.is_signed() {
            ((value << unused).cast_signed() >> unused).cast_unsigned()
        } else {
            value
        }
    };
    let of = |index: usize| match &case.params[index].kind {
        Kind::Scalar { ty, .. } => integer(at(index), *ty),
        Kind::Single { ty, .. } => integer(pointer(index), *ty),
        Kind::Buffer { .. } | Kind::Text { .. } => 0,
    };
    let length = |element: Option<crate::case::Scalar>, count: Count| -> usize {
        let count = match count {
            Count::Constant(n) => n,
            Count::Param(at) | Count::Cell(at) => of(at),
            Count::Linear(at, times, plus) => of(at).wrapping_mul(times).wrapping_add(plus),
        };
        usize::try_from(count.wrapping_mul(element_size(element))).expect("64 bits")
    };
    // Counts are what they are when the function begins.
    let lengths: Vec<usize> = case
        .params
        .iter()
        .map(|param| match &param.kind {
            Kind::Buffer { element, count, .. } => length(*element, *count),
            _ => 0,
        })
        .collect();
    let mut insides = lengths.clone();
    for (index, param) in case.params.iter().enumerate() {
        match &param.kind {
            Kind::Scalar { ty, extended } => {
                put(bytes(at(index), if *extended { 4 } else { ty.host_size() }));
            }
            kind => {
                let start = pointer(index);
                put(&(start.addr() as u64).to_le_bytes());
                if start.is_null() {
                    continue;
                }
                match kind {
                    Kind::Buffer { way, .. } if *way != Way::Out => {
                        put(bytes(start, lengths[index]))
                    }
                    Kind::Single { ty, way, .. }
                        if *way != Way::Out || !kind.is_in_place(wide_of(case)) =>
                    {
                        put(bytes(start, ty.host_size()));
                    }
                    Kind::Text { .. } => {
                        // SAFETY: it is a string.
                        let text = unsafe { std::ffi::CStr::from_ptr(start.cast()) };
                        put(text.to_bytes_with_nul());
                        insides[index] = text.count_bytes();
                    }
                    _ => {}
                }
            }
        }
    }
    for (index, param) in case.params.iter().enumerate() {
        let writes = !matches!(param.kind, Kind::Scalar { .. }) && !pointer(index).is_null();
        match &param.kind {
            Kind::Buffer { way: Way::Out | Way::InOut, .. } if writes => {
                let mut byte = pattern(case, index);
                for offset in 0..lengths[index] {
                    // SAFETY: the caller's promise.
                    unsafe { *pointer(index).add(offset) ^= byte };
                    byte = byte.wrapping_add(31);
                }
            }
            // SAFETY: likewise: there is a terminator at least.
            Kind::Text { mutable: true, .. } if writes => unsafe { *pointer(index) = 0 },
            _ => {}
        }
    }
    for (index, param) in case.params.iter().enumerate() {
        if let Kind::Single { ty, way: Way::Out | Way::InOut, leaves, .. } = &param.kind
            && !pointer(index).is_null()
        {
            let from = leaves.to_le_bytes();
            // SAFETY: likewise.
            unsafe { pointer(index).copy_from_nonoverlapping(from.as_ptr(), ty.host_size()) };
        }
    }
    *result = match case.result {
        Returned::Void => return,
        Returned::NoText => 0,
        Returned::Inside { param, offset } => {
            // With other arguments it may be shorter; NULL has no inside.
            let start = pointer(param).addr() as u64;
            let length = insides[param] as u64;
            if start == 0 { 0 } else { start + offset.min(length) }
        }
        Returned::Scalar { ty, value, garbage, .. } => {
            let width = 8 * u32::try_from(ty.host_size()).expect("small");
            if width == 64 {
                value
            } else {
                let low = value & ((1 << width) - 1);
                low | garbage.unwrap_or(0) << width
            }
        }
    };
}

/// Whether the guest's memory is 64-bit: then `long` is in place.
fn wide_of(case: &Case) -> bool {
    case.params.iter().any(|param| param.kind.is_pointer() && param.wasm == crate::case::Wasm::I64)
}
