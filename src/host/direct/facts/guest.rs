//! The guest of a trial.
use super::{PARAMS, mark};
use crate::plan::WasmType::{self, F32, F64, I32, I64};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use wasmtime::{Engine, Module};

/// The same for engines that compile guests alike.
pub(super) fn kind(engine: &Engine) -> Option<u64> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    Some(hasher.hash_one(engine.precompile_compatibility_hash()))
}

/// # Errors
/// When wasmtime cannot compile it.
pub(super) fn compiled(engine: &Engine) -> wasmtime::Result<Module> {
    Module::from_binary(engine, &guest())
}

/// The guest: three imports, and exports `0`, `1`, `2` that call them.
fn guest() -> Vec<u8> {
    let code_of = |ty: WasmType| match ty {
        I32 => 0x7f_u8,
        F32 => 0x7d,
        F64 => 0x7c,
        _ => 0x7e,
    };
    let ty = |params: &[WasmType], result: WasmType| {
        let mut bytes = vec![0x60];
        list(&mut bytes, params.iter().map(|ty| vec![code_of(*ty)]).collect());
        list(&mut bytes, vec![vec![code_of(result)]]);
        bytes
    };
    let types = vec![ty(&PARAMS, I64), ty(&[], I64), ty(&[], F64), ty(&[], I64)];
    let imports = (0..3).map(|number| vec![1, b't', 1, b'0' + number, 0, number]).collect();
    // Exports have the types of results.
    let functions = vec![vec![3], vec![1], vec![2]];
    let exports = (0..3).map(|number| vec![1, b'0' + number, 0, 3 + number]).collect();
    let mut calls = Vec::new();
    for import in 0..3_u8 {
        // No locals.
        let mut body = vec![0];
        if import == 0 {
            for (number, ty) in PARAMS.into_iter().enumerate() {
                constant(&mut body, ty, mark(number, ty));
            }
        }
        body.extend([0x10, import, 0x0b]);
        let mut sized = Vec::new();
        unsigned(&mut sized, body.len());
        sized.extend(body);
        calls.push(sized);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let sections = [(1, types), (2, imports), (3, functions), (7, exports), (10, calls)];
    for (number, items) in sections {
        let mut section = Vec::new();
        list(&mut section, items);
        module.push(number);
        unsigned(&mut module, section.len());
        module.extend(section);
    }
    module
}

fn list(to: &mut Vec<u8>, items: Vec<Vec<u8>>) {
    unsigned(to, items.len());
    to.extend(items.into_iter().flatten());
}

fn unsigned(to: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn constant(to: &mut Vec<u8>, ty: WasmType, bits: u64) {
    match ty {
        F32 => {
            to.push(0x43);
            to.extend((bits as u32).to_le_bytes());
        }
        F64 => {
            to.push(0x44);
            to.extend(bits.to_le_bytes());
        }
        _ => {
            to.push(if ty == I32 { 0x41 } else { 0x42 });
            let mut value =
                if ty == I32 { i64::from((bits as u32).cast_signed()) } else { bits.cast_signed() };
            loop {
                let low = (value & 0x7f) as u8;
                value >>= 7;
                let done = value == if low & 0x40 == 0 { 0 } else { -1 };
                to.push(if done { low } else { low | 0x80 });
                if done {
                    break;
                }
            }
        }
    }
}
