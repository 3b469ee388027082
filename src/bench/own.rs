//! A row of the user's own: a prototype, a library, and arguments that are made up or given.
#![expect(unsafe_code, reason = "calls a function as the user says that it is")]
use super::harness::Loop;
use super::row::{Address, Grant, Guest, Row, c_loops, symbol};
use crate::plan::WasmType;
use crate::plan::abi::Abi;
use crate::plan::compile::{CompileError, lower};
use crate::plan::layout::{DataModel, Target, extent_of};
use crate::signature::{
    Diagnostics, Float, Integer, NoteKind, Param, Prototype, Scope, Type, TypeKind, parse_prototype,
};
use std::ffi::c_void;
use std::mem::transmute;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// Why there is no row of a user's own.
#[derive(Debug, Error)]
pub enum Mistake {
    /// The prototype has mistakes.
    #[error("{0}")]
    Prototype(Diagnostics),
    /// Something else is wrong.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Mistake {
    fn from(what: String) -> Mistake {
        Mistake::Other(what)
    }
}

/// What pointers point at: so many bytes each, in pages of the guest's memory.
const REGION: u32 = 1 << 20;
/// Numbers that say how much there is.
const COUNT: i64 = 64;

/// An argument, for both sides.
#[derive(Clone, Debug, PartialEq)]
enum Argument {
    Integer(i64),
    Float(f64),
    /// A pointer to a region of zeros that begins with these bytes.
    Region(Vec<u8>),
}

/// The row of a prototype that the user writes.
///
/// `library` is a name for the dynamic linker, or an absolute path. `given` are the arguments, one a parameter,
/// where `_` stands for one that is made up: 64 for what counts something, else 1, 0.5, and memory of zeros.
///
/// # Errors
/// When the prototype has mistakes, or has parameters for which nobody can make up an argument; when
/// arguments do not fit it; and when the library is not there, or has no such function.
pub fn row(text: &str, library: &str, given: &[String]) -> Result<Row, Mistake> {
    let scope = Scope::default();
    let prototype = parse_prototype(text, &scope).map_err(Mistake::Prototype)?;
    let lowered =
        lower(&prototype, &scope, DataModel::Ilp32, None).map_err(|error| match error {
            CompileError::Prototype(list) => {
                Mistake::Prototype(Diagnostics::new("prototype", text, list))
            }
            other => Mistake::Other(other.to_string()),
        })?;
    let params = &prototype.function.params;
    if !given.is_empty() && given.len() != params.len() {
        return Err(Mistake::Other(format!(
            "`--args` has {} values, and the function {} parameters: write one for each, `_` for those \
             that are to be made up, and `\\,` for a comma in a text",
            given.len(),
            params.len()
        )));
    }
    let name = prototype.name.name.to_string();
    let mut arguments = Vec::new();
    for (at, param) in params.iter().enumerate() {
        let given = given.get(at).map(String::as_str).filter(|given| *given != "_");
        let shown = param.name.as_ref().map_or(format!("{}", at + 1), |name| format!("`{name}`"));
        let made = argument(param, &prototype, &scope, given);
        arguments.push(made.map_err(|why| format!("parameter {shown} of `{name}`: {why}"))?);
    }
    symbol(library, &name)?;
    let (file, path) = match library.contains('/') {
        true => {
            (Path::new(library).file_name().and_then(|name| name.to_str()).unwrap_or("own"), true)
        }
        false => (library, false),
    };
    let interface = format!(
        "#pragma portcullis library \"{file}\" module \"own\"\n{};\n",
        text.trim().trim_end_matches(';')
    );
    let libraries = if path { vec![(file.to_owned(), library.into())] } else { Vec::new() };
    let (guest, native) =
        (guest(&name, &lowered.params, &lowered.results, &arguments)?, library.to_owned());
    let simple =
        params.iter().map(|param| &param.ty).chain([&prototype.function.result]).all(is_simple);
    Ok(Row {
        id: name.clone(),
        title: name.clone(),
        group: "your own",
        prototype: prototype.to_string(),
        arguments: None,
        listed: true,
        grant: Grant::Text { text: interface, symbols: Vec::new(), libraries },
        guest,
        c: Box::new(move || {
            if !simple {
                return Err("C's loop is for numbers and pointers to bytes".to_owned());
            }
            let loops = native_loops(symbol(&native, &name)?, &arguments);
            loops.ok_or_else(|| {
                "C's loop passes at most 6 integers and 8 floating-point numbers".to_owned()
            })
        }),
        wrap: Box::new(|_| Err("nobody has written it".to_owned())),
    })
}

/// Whether C gets the same as the guest passes: a number in a register, or the address of such data.
fn is_simple(ty: &Type) -> bool {
    match &ty.kind {
        TypeKind::Void | TypeKind::Bool | TypeKind::Enum(_) => true,
        TypeKind::Integer(integer) => !matches!(integer, Integer::Int128 | Integer::UnsignedInt128),
        TypeKind::Float(float) => *float != Float::LongDouble,
        TypeKind::Pointer(pointee) => {
            let size =
                |target| extent_of(pointee, &Scope::default(), target).map(|extent| extent.size);
            matches!(pointee.kind, TypeKind::Void)
                || (is_simple(pointee)
                    && pointee.pointee().is_none()
                    && size(Target::Guest(DataModel::Ilp32)).ok()
                        == size(Target::Host(Abi::host_or_default())).ok())
        }
        _ => false,
    }
}

fn argument(
    param: &Param,
    prototype: &Prototype,
    scope: &Scope,
    given: Option<&str>,
) -> Result<Argument, String> {
    match &param.ty.kind {
        TypeKind::Bool | TypeKind::Integer(_) | TypeKind::Enum(_) => {
            Ok(Argument::Integer(match given {
                Some(text) => integer(text, &param.ty, scope)?,
                None if counts(param, prototype) => COUNT,
                None => 1,
            }))
        }
        TypeKind::Float(float) => Ok(Argument::Float(match given {
            Some(text) => number(text, *float)?,
            None => 0.5,
        })),
        TypeKind::Pointer(pointee) => {
            if matches!(pointee.kind, TypeKind::Function(_)) {
                return Err(
                    "functions cannot be made up; write a guest, and `profile` it".to_owned()
                );
            }
            let known = matches!(pointee.kind, TypeKind::Void)
                || extent_of(pointee, scope, Target::Guest(DataModel::Ilp32)).is_ok();
            if !known {
                return Err("objects cannot be made up; write a guest, and `profile` it".to_owned());
            }
            let text = given.unwrap_or("portcullis");
            if text.len() >= REGION as usize || text.contains('\0') {
                return Err(format!("a text has less than {REGION} bytes, none of them 0"));
            }
            let is_text = matches!(
                pointee.kind,
                TypeKind::Integer(Integer::Char | Integer::SignedChar | Integer::UnsignedChar)
            );
            Ok(Argument::Region(match (is_text, given) {
                (true, _) => text.bytes().collect(),
                (false, None) => Vec::new(),
                (false, Some(_)) => return Err("only text can be given for a pointer".to_owned()),
            }))
        }
        TypeKind::Record(_) => Ok(Argument::Region(Vec::new())),
        _ => Err("a value of this type cannot be made up".to_owned()),
    }
}

/// A number that the type has, on both sides: of `long` those that 4 bytes hold.
fn integer(text: &str, ty: &Type, scope: &Scope) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with(['+', '-']) => i128::from_str_radix(digits, 16),
        Some(_) => "".parse(),
        None if digits.starts_with(['+', '-']) => "".parse(),
        None => digits.parse(),
    };
    let value = sign * value.map_err(|_| format!("`{text}` is no integer"))?;
    let size = |target| extent_of(ty, scope, target).map(|extent| extent.size);
    let guest = size(Target::Guest(DataModel::Ilp32)).map_err(|error| error.to_string())?;
    let host = size(Target::Host(Abi::host_or_default())).map_err(|error| error.to_string())?;
    let bits = 8 * guest.min(host).min(8);
    let integer = match &ty.kind {
        TypeKind::Integer(integer) => Some(*integer),
        TypeKind::Enum(of) => Some(of.underlying),
        _ => None,
    };
    let (low, high) = match integer {
        None => (0, 1),
        Some(integer) if is_unsigned(integer) => (0, (1_i128 << bits) - 1),
        Some(_) => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
    };
    if !(low..=high).contains(&value) {
        let of = if guest < host { ", of which a guest has 4 bytes," } else { "" };
        return Err(format!("`{text}` does not fit: `{ty}`{of} holds {low} to {high}"));
    }
    // The same 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "between i64::MIN and u64::MAX")]
    Ok(value as i64)
}

/// As all hosts that native calls are supported on have it, `char` has a sign.
fn is_unsigned(integer: Integer) -> bool {
    match integer {
        Integer::UnsignedChar
        | Integer::UnsignedShort
        | Integer::UnsignedInt
        | Integer::UnsignedLong
        | Integer::UnsignedLongLong
        | Integer::UnsignedInt128 => true,
        Integer::Char
        | Integer::SignedChar
        | Integer::Short
        | Integer::Int
        | Integer::Long
        | Integer::LongLong
        | Integer::Int128 => false,
    }
}

/// A number that the type has, or one that it rounds to.
fn number(text: &str, float: Float) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    let is_named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    #[expect(clippy::cast_possible_truncation, reason = "to see whether it can be")]
    let (name, most, is_too_large) = match float {
        Float::Float => ("float", f64::from(f32::MAX), (value as f32).is_infinite()),
        Float::Double => ("double", f64::MAX, value.is_infinite()),
        Float::LongDouble => ("long double, given as a double,", f64::MAX, value.is_infinite()),
    };
    if is_too_large && !is_named {
        return Err(format!("`{text}` does not fit: `{name}` holds {:e} to {most:e}", -most));
    }
    Ok(value)
}

/// Whether a bound of another parameter mentions this one.
fn counts(param: &Param, prototype: &Prototype) -> bool {
    let Some(name) = &param.name else { return false };
    let mentions = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| *word == *name.name)
    };
    let bounds = prototype.function.params.iter().flat_map(|other| &other.ty.notes);
    bounds.into_iter().any(|note| match &note.kind {
        NoteKind::CountedBy(expr) | NoteKind::SizedBy(expr) | NoteKind::CountedByOrNull(expr) => {
            mentions(&expr.to_string())
        }
        _ => false,
    })
}

fn guest(
    name: &str,
    params: &[WasmType],
    results: &[WasmType],
    arguments: &[Argument],
) -> Result<Guest, String> {
    let hidden = params.len().checked_sub(arguments.len()).filter(|hidden| *hidden < 2);
    let hidden = hidden.ok_or("values of this kind cannot be made up")?;
    let types: Vec<&str> = params.iter().map(|ty| wasm(*ty)).collect();
    let mut rest = String::new();
    let mut passed = vec![format!("(i32.const {})", 1024); hidden];
    let mut region = 0;
    for (argument, ty) in arguments.iter().zip(&types[hidden..]) {
        passed.push(match argument {
            Argument::Integer(value) => match *ty {
                "i32" => format!("(i32.const {})", value & 0xffff_ffff),
                ty => format!("({ty}.const {value})"),
            },
            Argument::Float(value) => format!("({ty}.const {value:?})"),
            Argument::Region(bytes) => {
                region += 1;
                let at = region * REGION;
                let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
                rest.push_str(&format!("(data (i32.const {at}) \"{bytes}\")\n"));
                format!("(i32.const {at})")
            }
        });
    }
    let result = results.first().map_or("", |ty| wasm(*ty));
    let call = format!("(call $f {})", passed.join(" "));
    let turn = "(local.set $last (i32.xor (local.get $last) (local.get $n)))".to_owned();
    Ok(Guest {
        import: ("own".to_owned(), name.to_owned()),
        params: types.join(" "),
        result: result.to_owned(),
        pages: (region + 2) * (REGION >> 16),
        rest,
        last: "i32",
        step: if result.is_empty() {
            format!("{call} {turn}")
        } else {
            format!("(drop {call}) {turn}")
        },
        nothing: turn,
        ..Guest::default()
    })
}

fn wasm(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 => "i32",
        WasmType::I64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::V128 => "v128",
        WasmType::FuncRef => "funcref",
        WasmType::ExternRef => "externref",
    }
}

macro_rules! word {
    ($name:ident) => {
        i64
    };
}
macro_rules! real {
    ($name:ident) => {
        f64
    };
}

/// C's loops. Integers and floating-point numbers have registers of their own on the ABIs that we know, so that only
/// how many there are of each matters, and not their order.
fn native_loops(address: Address, arguments: &[Argument]) -> Option<(Loop, Loop)> {
    let mut regions: Vec<Arc<Vec<u8>>> = Vec::new();
    let (mut ints, mut floats) = (Vec::<i64>::new(), Vec::<f64>::new());
    for argument in arguments {
        match argument {
            Argument::Integer(value) => ints.push(*value),
            Argument::Float(value) => floats.push(*value),
            Argument::Region(bytes) => {
                let mut region = bytes.clone();
                region.resize(REGION as usize, 0);
                ints.push(region.as_ptr().addr().cast_signed().try_into().ok()?);
                regions.push(Arc::new(region));
            }
        }
    }
    macro_rules! go {
        ([$($a:ident)*] [$($x:ident)*]) => {{
            type F = unsafe extern "C" fn($(word!($a),)* $(real!($x),)*) -> i64;
            let [$($a),*]: [i64; _] = ints.try_into().ok()?;
            let [$($x),*]: [f64; _] = floats.try_into().ok()?;
            let call = move |f: *const c_void, last: i32, n: i32| {
                let _ = &regions;
                // SAFETY: the user says that the function is as its prototype; what it returns is not looked at.
                unsafe { transmute::<*const c_void, F>(f)($($a,)* $($x,)*) };
                last ^ n
            };
            Some(c_loops(address, 1, call, |last, n| last ^ n))
        }};
    }
    macro_rules! floats {
        ($ints:tt) => {
            match floats.len() {
                0 => go!($ints []),
                1 => go!($ints [p]),
                2 => go!($ints [p q]),
                3 => go!($ints [p q r]),
                4 => go!($ints [p q r s]),
                5 => go!($ints [p q r s t]),
                6 => go!($ints [p q r s t u]),
                7 => go!($ints [p q r s t u v]),
                8 => go!($ints [p q r s t u v w]),
                _ => None,
            }
        };
    }
    match ints.len() {
        0 => floats!([]),
        1 => floats!([a]),
        2 => floats!([a b]),
        3 => floats!([a b c]),
        4 => floats!([a b c d]),
        5 => floats!([a b c d e]),
        6 => floats!([a b c d e f]),
        _ => None,
    }
}
