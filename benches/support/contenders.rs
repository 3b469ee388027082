//! The ways to call a native function that are compared.
//!
//! | name | what it is |
//! |---|---|
//! | C | a gcc -O2 loop that calls through a volatile pointer from `dlsym` |
//! | wrap | `Func::wrap` by hand, a function a row, the memory cached |
//! | floor | `Func::new_unchecked` by hand, likewise: what any host function costs at least |
//! | libffi | `Func::new_unchecked` and libffi, driven by a table as any generic glue is |
//! | interpreter, template, cranelift, direct | the tiers of the bridge |
//! | straight | the interpreter, entered by guests themselves: direct calls that have no code yet |
use crate::by_hand;
use crate::rows::{Argument, Row, Type};
use libffi::low;
use libffi::middle::{Cif, Type as FfiType};
use libloading::Library;
use portcullis::host::{Bridge, BridgeBuilder, ImportStatus, NativeImport, Natives, Tier};
use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::rc::Rc;
use wasmtime::{
    Engine, Extern, Func, FuncType, Instance, Linker, Memory, Module, Store, ValRaw, ValType,
};

/// The names of all contenders, in the order of tables.
pub const NAMES: [&str; 9] =
    ["C", "wrap", "floor", "libffi", "interpreter", "straight", "template", "cranelift", "direct"];

pub use portcullis::bench::harness::{Contender, Loop};

/// What stores hold: the memory, cached where hand-written glue finds it.
#[derive(Default)]
pub struct State {
    pub memory: Option<Memory>,
    /// What hand-written glue gives guests numbers for.
    pub things: Vec<Address>,
    natives: Natives,
}

/// The two libraries, loaded.
pub struct Native {
    callees: Library,
    loops: Library,
    path: PathBuf,
}

impl Native {
    /// Loads what `rows::callees` and `rows::loops` were compiled to.
    pub fn open(callees: &Path, loops: &Path) -> Native {
        let open = |path: &Path| {
            // SAFETY: neither has constructors.
            unsafe { Library::new(path) }.unwrap_or_else(|error| panic!("{error}"))
        };
        let (path, callees, loops) = (callees.to_owned(), open(callees), open(loops));
        let name = CString::new(path.to_str().expect("a path of the build")).expect("no NUL in it");
        // SAFETY: `int bind(const char *)`.
        let status = unsafe {
            let bind = loops.get::<unsafe extern "C" fn(*const libc::c_char) -> i32>("bind");
            bind.expect("the loops have it")(name.as_ptr())
        };
        assert_eq!(status, 0, "the loops find every function");
        Native { callees, loops, path }
    }

    fn address(&self, symbol: &str) -> Address {
        // SAFETY: only its address is taken.
        let symbol = unsafe { self.callees.get::<*const c_void>(symbol) };
        let symbol = symbol.expect("every row has its function");
        // SAFETY: likewise; the libraries are never closed (see `main`).
        Address(unsafe { symbol.try_as_raw_ptr() }.expect("it is defined"))
    }

    fn c_loop(&self, name: &str) -> Loop {
        type Run = unsafe extern "C" fn(i32);
        // SAFETY: every loop is `void f(int)`.
        let run = *unsafe { self.loops.get::<Run>(name) }.expect("every row has its loops");
        Box::new(move |turns| {
            // SAFETY: likewise; the libraries are never closed (see `main`).
            unsafe { run(i32::try_from(turns).expect("a moderate number")) };
        })
    }

    fn contender(&self, row: &Row) -> Contender {
        Contender {
            name: "C",
            run: self.c_loop(&format!("run_{}", row.symbol)),
            empty: self.c_loop(&format!("empty_{}", row.symbol)),
        }
    }
}

/// The address of a function.
#[derive(Clone, Copy)]
pub struct Address(*mut c_void);
// SAFETY: code is the same on every thread.
unsafe impl Send for Address {}
// SAFETY: likewise.
unsafe impl Sync for Address {}

impl Address {
    pub fn new(address: *mut c_void) -> Address {
        Address(address)
    }

    pub fn get(self) -> *const c_void {
        self.0
    }
}

/// The guest of a contender, and the rows that it takes.
struct Guest {
    name: &'static str,
    store: Rc<RefCell<Store<State>>>,
    instance: Instance,
    takes: Vec<bool>,
}

impl Guest {
    fn new(
        name: &'static str,
        mut store: Store<State>,
        instance: Instance,
        takes: Vec<bool>,
    ) -> Guest {
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        store.data_mut().memory = Some(memory);
        Guest { name, store: Rc::new(RefCell::new(store)), instance, takes }
    }

    /// An imported function of this guest, made by hand for each row that it can be made for.
    fn by_hand(
        name: &'static str,
        module: &Module,
        rows: &[Row],
        native: &Native,
        import: impl Fn(&mut Store<State>, &Row, FuncType, Address) -> Option<Func>,
    ) -> Guest {
        let mut store = Store::new(module.engine(), State::default());
        let mut takes = Vec::new();
        let mut imports = Vec::new();
        for row in rows {
            let ty = func_type(module.engine(), row);
            let made = import(&mut store, row, ty.clone(), native.address(&row.symbol));
            takes.push(made.is_some());
            let made = made.unwrap_or_else(|| {
                Func::new(&mut store, ty, |_, _, _| wasmtime::bail!("this row is never run"))
            });
            imports.push(Extern::from(made));
        }
        imports.push(by_hand::open_thing(&mut store, native.address("open_thing")).into());
        let instance = Instance::new(&mut store, module, &imports);
        Guest::new(name, store, instance.expect("the imports fit"), takes)
    }

    /// A guest whose imports come from the bridge.
    fn bridged(
        name: &'static str,
        module: &Module,
        rows: &[Row],
        native: &Native,
        tier: Tier,
    ) -> Guest {
        let builder = Bridge::builder(module.engine()).max_tier(tier);
        Guest::bridged_by(name, module, rows, native, builder, |function| function.tier == tier)
    }

    /// A guest whose imports come from a bridge that is built so; `takes` says of each function whether it is measured.
    fn bridged_by(
        name: &'static str,
        module: &Module,
        rows: &[Row],
        native: &Native,
        builder: BridgeBuilder,
        takes: impl Fn(&NativeImport) -> bool,
    ) -> Guest {
        let builder = builder.library("libcallees.so", &native.path).expect("an absolute path");
        // SAFETY: the interface is written from the same rows as the library.
        let builder = unsafe { builder.grant_interface("bench.h", &crate::rows::interface(rows)) };
        let bridge = builder.and_then(|builder| builder.build());
        let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
        let imports = bridge.describe(module);
        let takes = imports.iter().map(|import| match &import.status {
            ImportStatus::Native(functions) => functions.iter().all(&takes),
            other => panic!("{}: {other:?}", import.name),
        });
        let takes = takes.collect();
        let mut store = Store::new(module.engine(), State::default());
        let linker = Linker::new(module.engine());
        let instance = bridge.instantiate(&mut store, &linker, module, |state| &mut state.natives);
        Guest::new(name, store, instance.unwrap_or_else(|error| panic!("{error:?}")), takes)
    }

    fn wasm_loop(&self, kind: &str, row: &Row) -> Loop {
        let name = format!("{kind}_{}", row.symbol);
        let (store, instance) = (Rc::clone(&self.store), self.instance);
        macro_rules! typed {
            ($result:ty) => {{
                let f = instance.get_typed_func::<u32, $result>(&mut *store.borrow_mut(), &name);
                let f = f.expect("every row has its loops");
                Box::new(move |turns| {
                    f.call(&mut *store.borrow_mut(), turns).expect("no call fails");
                })
            }};
        }
        match row.result {
            Type::F64 | Type::Pair => typed!(f64),
            Type::I64 => typed!(i64),
            Type::I32 | Type::Size | Type::Pointer | Type::Record(_) | Type::Thing => typed!(i32),
        }
    }

    fn contender(&self, row: &Row) -> Contender {
        Contender {
            name: self.name,
            run: self.wasm_loop("run", row),
            empty: self.wasm_loop("empty", row),
        }
    }
}

/// The contenders of each row.
pub fn all(engine: &Engine, rows: &[Row], native: &Native) -> Vec<Vec<Contender>> {
    let text = crate::rows::guest(rows);
    // Each has code of its own, as the C loops have. An instruction that calls something else for each contender
    // is one that processors foretell by another, slower way: 0.8 ns a call on the one that this was found on.
    let module = || Module::new(engine, &text).unwrap_or_else(|error| panic!("{error:?}"));
    let guests = [
        Guest::by_hand("wrap", &module(), rows, native, |store, row, _, address| {
            by_hand::wrap(store, row, address)
        }),
        Guest::by_hand("floor", &module(), rows, native, by_hand::floor),
        Guest::by_hand("libffi", &module(), rows, native, through_libffi),
        Guest::bridged("interpreter", &module(), rows, native, Tier::Interpreter),
        // What is not hot yet, and never becomes it.
        Guest::bridged_by(
            "straight",
            &module(),
            rows,
            native,
            Bridge::builder(engine).max_tier(Tier::Direct).when_hot(u32::MAX),
            |function| function.straight,
        ),
        Guest::bridged("template", &module(), rows, native, Tier::Template),
        Guest::bridged("cranelift", &module(), rows, native, Tier::Cranelift),
        Guest::bridged("direct", &module(), rows, native, Tier::Direct),
    ];
    let contenders = rows.iter().enumerate().map(|(position, row)| {
        let takers = guests.iter().filter(|guest| guest.takes[position]);
        let mut contenders = vec![native.contender(row)];
        contenders.extend(takers.map(|guest| guest.contender(row)));
        contenders
    });
    contenders.collect()
}

fn func_type(engine: &Engine, row: &Row) -> FuncType {
    let value = |ty: Type| match ty.wasm() {
        "i64" => ValType::I64,
        "f64" => ValType::F64,
        _ => ValType::I32,
    };
    if row.result == Type::Pair {
        return FuncType::new(engine, [ValType::I32, ValType::I32], []);
    }
    FuncType::new(engine, row.params.iter().map(|(ty, _)| value(*ty)), [value(row.result)])
}

/// What glue does to an argument before libffi gets it.
#[derive(Clone, Copy)]
enum Prepare {
    /// Nothing: libffi reads the guest's value where it is.
    InPlace,
    /// Widens it to 64 bits.
    Size,
    /// Checks that as many bytes as that argument says are inside of the memory.
    Buffer { length: usize },
    /// Looks for the end of the string.
    Text,
}

/// A prepared call.
struct Prepared {
    cif: Cif,
    address: Address,
    arguments: Vec<Prepare>,
    needs_memory: bool,
}
// SAFETY: it is only read; libffi does not write to a prepared call.
unsafe impl Send for Prepared {}
// SAFETY: likewise.
unsafe impl Sync for Prepared {}

const MOST_ARGUMENTS: usize = 18;

fn through_libffi(
    store: &mut Store<State>,
    row: &Row,
    ty: FuncType,
    address: Address,
) -> Option<Func> {
    let pair = || FfiType::structure([FfiType::f64(), FfiType::f64()]);
    let ffi = |ty: Type| match ty {
        Type::Pair => pair(),
        Type::I32 => FfiType::i32(),
        Type::I64 => FfiType::i64(),
        Type::F64 => FfiType::f64(),
        Type::Size => FfiType::u64(),
        Type::Pointer | Type::Record(_) | Type::Thing => FfiType::pointer(),
    };
    let is_more = |ty: Type| matches!(ty, Type::Record(_) | Type::Thing);
    if row.result == Type::Pair || row.params.iter().any(|(ty, _)| is_more(*ty)) {
        return None;
    }
    let length = row.params.iter().position(|(ty, _)| *ty == Type::Size);
    let prepare = |ty: Type| match (ty, length) {
        (Type::I32 | Type::I64 | Type::F64, _) => Prepare::InPlace,
        (Type::Pair | Type::Record(_) | Type::Thing, _) => Prepare::Text,
        (Type::Size, _) => Prepare::Size,
        (Type::Pointer, Some(length)) => Prepare::Buffer { length },
        (Type::Pointer, None) => Prepare::Text,
    };
    let prepared = Prepared {
        cif: Cif::new(row.params.iter().map(|(ty, _)| ffi(*ty)), ffi(row.result)),
        address,
        arguments: row.params.iter().map(|(ty, _)| prepare(*ty)).collect(),
        needs_memory: row.params.iter().any(|(_, argument)| *argument == Argument::Data),
    };
    let call = move |caller: wasmtime::Caller<'_, State>,
                     slots: &mut [std::mem::MaybeUninit<ValRaw>]| {
        let prepared = &prepared;
        let memory = match caller.data().memory {
            Some(memory) if prepared.needs_memory => memory.data(&caller),
            _ => &[],
        };
        let slots = slots.as_mut_ptr().cast::<ValRaw>();
        let mut widened = [0u64; MOST_ARGUMENTS];
        let mut pointers = [ptr::null_mut::<c_void>(); MOST_ARGUMENTS];
        for (at, prepare) in prepared.arguments.iter().enumerate() {
            // SAFETY: there is a slot for each parameter.
            let slot = unsafe { slots.add(at) };
            // SAFETY: likewise, initialised by wasmtime.
            let number = |slot: *const ValRaw| unsafe { (*slot).get_u32() } as usize;
            let value = match prepare {
                Prepare::InPlace => {
                    pointers[at] = slot.cast();
                    continue;
                }
                Prepare::Size => number(slot) as u64,
                Prepare::Buffer { length } => {
                    // SAFETY: the length is a parameter too.
                    let (start, length) = (number(slot), number(unsafe { slots.add(*length) }));
                    let end = start.checked_add(length);
                    let bytes = end.and_then(|end| memory.get(start..end));
                    bytes.ok_or_else(|| wasmtime::format_err!("out of bounds"))?.as_ptr() as u64
                }
                Prepare::Text => {
                    let bytes = memory.get(number(slot)..).unwrap_or_default();
                    memchr::memchr(0, bytes)
                        .ok_or_else(|| wasmtime::format_err!("unterminated"))?;
                    bytes.as_ptr() as u64
                }
            };
            widened[at] = value;
            pointers[at] = ptr::from_mut(&mut widened[at]).cast();
        }
        // SAFETY: the prepared call is that of the function; the arguments are of its types. The
        // result goes over the first slot, of which there is at least one, 16 bytes wide.
        unsafe {
            let function = low::CodePtr(prepared.address.get().cast_mut());
            libffi::raw::ffi_call(
                prepared.cif.as_raw_ptr(),
                Some(*function.as_safe_fun()),
                slots.cast(),
                pointers.as_mut_ptr(),
            );
        }
        Ok(())
    };
    // SAFETY: the function leaves a result of its type in the first slot.
    Some(unsafe { Func::new_unchecked(store, ty, call) })
}
