//! Trampolines that are made ahead of time, and kept in a file.
//!
//! A stock has code by what it is for: everything of a plan that code depends on, in words. A plan that is
//! compiled later, in another process, gets the code that was made of the same words, or none: there is
//! no hash that could stand for two. What belongs to the process is patched in
//! ([`Machine`](super::machine::Machine)).
//!
//! Bytes of a stock are code. Who hands them in vouches for them; what is checked here is that they fit
//! this program and this processor.
use super::callback::Typed;
use super::direct::{Context, Direct, FuncRef, stack_limit, store_context};
use super::machine::{Machine, MadeCallback, MadeDirect};
use super::{Trampoline, Unsupported, identity, make};
use crate::plan::Plan;
use crate::plan::binding::{Binding, Gate, StoreBlock};
use crate::plan::frame::{CallRecord, FrameHead, GuestSlot};
use crate::plan::handles::Entry as HandleEntry;
use crate::plan::handles::HandleType;
use crate::plan::interpret::callback::Words;
use crate::plan::op::Fate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem::offset_of;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    code: Code,
}

/// By what it is for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Code {
    /// What ordinary host functions enter.
    array: BTreeMap<Box<str>, Machine>,
    /// What guests enter by themselves.
    direct: BTreeMap<Box<str>, MadeDirect>,
    /// What native code enters when it calls closures.
    callbacks: BTreeMap<Box<str>, MadeCallback>,
}

/// A stock as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    made_by: Box<str>,
    layout: Vec<u64>,
    features: Vec<Box<str>>,
    code: Code,
}

/// Why a stock is of no use here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StockError {
    /// The bytes are those of no stock.
    #[error("its trampolines cannot be read ({0}): compile the guest again")]
    Unreadable(String),
    /// Another version wrote them.
    #[error(
        "its trampolines were made by {found}, and this is {}: compile the guest with this one",
        this_program()
    )]
    Version {
        /// Who made them.
        found: Box<str>,
    },
    /// The version is right, but not the structures that code works on.
    #[error(
        "its trampolines were made by another build of {}: compile the guest with this one",
        this_program()
    )]
    Layout,
    /// The processor lacks something.
    #[error(
        "its trampolines need `{0}`, which this processor does not have: compile the guest on this machine"
    )]
    Feature(Box<str>),
}

/// Who makes stocks: versions, and what `build.rs` makes of the sources. Code knows routines and steps of plans by
/// numbers that mean something in these sources only.
fn this_program() -> String {
    format!(
        "portcullis {} ({}) with Cranelift 0.135 for wasmtime {}",
        env!("CARGO_PKG_VERSION"),
        env!("PORTCULLIS_SOURCES"),
        wasmtime_environ::VERSION,
    )
}

/// Where code finds things, and how large they are: what two builds of the same sources may differ in.
fn layout() -> Vec<u64> {
    let words = [
        size_of::<GuestSlot>(),
        size_of::<FrameHead>(),
        offset_of!(FrameHead, guest),
        offset_of!(FrameHead, binding),
        offset_of!(FrameHead, integers),
        offset_of!(FrameHead, running),
        offset_of!(FrameHead, vectors),
        offset_of!(FrameHead, record),
        offset_of!(CallRecord, integers),
        offset_of!(CallRecord, vectors),
        offset_of!(CallRecord, errno),
        offset_of!(CallRecord, called),
        offset_of!(CallRecord, x87),
        offset_of!(Binding, target),
        offset_of!(Binding, store),
        offset_of!(Binding, memory_base),
        offset_of!(Binding, memory_len),
        offset_of!(Binding, callees),
        offset_of!(Binding, instance),
        offset_of!(Binding, errno),
        offset_of!(StoreBlock, limits),
        StoreBlock::HANDLE_ENTRIES,
        StoreBlock::HANDLE_COUNT,
        size_of::<HandleEntry>(),
        offset_of!(HandleEntry, pointer),
        offset_of!(HandleEntry, kind),
        offset_of!(HandleEntry, handle),
        Fate::Kept as usize,
        Fate::Invalidated as usize,
        Fate::Consumed as usize,
        Context::FRAME,
        offset_of!(Context, gate),
        offset_of!(Context, redo),
        offset_of!(Context, resume),
        offset_of!(Context, binding),
        Gate::LOW,
        Gate::SPAN,
        store_context(),
        stack_limit(),
        offset_of!(FuncRef, wasm_call),
        offset_of!(FuncRef, vmctx),
        Words::ENTER,
        Words::BACK,
        Words::MEMORY_BASE,
        Words::MEMORY_LEN,
        Words::COOKIES,
    ];
    words.map(|word| word as u64).to_vec()
}

impl Stock {
    /// One that has nothing.
    #[must_use]
    pub fn new() -> Stock {
        Stock::default()
    }

    /// How many pieces of code it has: trampolines, in both ways of entering them, and entries of closures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.code.array.len() + self.code.direct.len() + self.code.callbacks.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some of its code is for guests that enter it by themselves.
    #[must_use]
    pub fn has_direct(&self) -> bool {
        !self.code.direct.is_empty()
    }

    /// Makes code for a plan that an ordinary host function enters, unless there is some already.
    ///
    /// # Errors
    /// Why the plan has no trampoline.
    pub fn add(&mut self, plan: &Plan) -> Result<(), Unsupported> {
        if let Entry::Vacant(place) = self.code.array.entry(words(plan)) {
            place.insert(make::array(plan)?);
        }
        Ok(())
    }

    /// Likewise, code that guests enter by themselves.
    ///
    /// # Errors
    /// Why the plan has no direct trampoline.
    pub fn add_direct(&mut self, plan: &Plan) -> Result<(), Unsupported> {
        if let Entry::Vacant(place) = self.code.direct.entry(direct_words(plan)) {
            place.insert(make::direct(plan)?);
        }
        Ok(())
    }

    /// Likewise, the entry of closures whose calls that plan describes.
    ///
    /// # Errors
    /// Why the interpreter makes all of them.
    pub fn add_callback(&mut self, plan: &Plan) -> Result<(), Unsupported> {
        if let Entry::Vacant(place) = self.code.callbacks.entry(direct_words(plan)) {
            place.insert(make::callback(plan)?);
        }
        Ok(())
    }

    /// Everything of another one too.
    pub fn extend(&mut self, other: Stock) {
        self.code.callbacks.extend(other.code.callbacks);
        self.code.array.extend(other.code.array);
        self.code.direct.extend(other.code.direct);
    }

    /// The trampoline of a plan, if the stock has it: given a place, not made.
    ///
    /// # Errors
    /// When there is no memory for code.
    pub fn trampoline(&self, plan: &Plan) -> Result<Option<Trampoline>, Unsupported> {
        // Most bridges have no stock, and words cost as much as a plan.
        if self.code.array.is_empty() {
            return Ok(None);
        }
        let Some(made) = self.code.array.get(&words(plan)) else { return Ok(None) };
        Trampoline::place(made, plan).map(Some)
    }

    /// The direct trampoline of a plan, likewise.
    ///
    /// # Errors
    /// When there is no memory for code.
    pub fn direct(&self, plan: &Plan) -> Result<Option<Direct>, Unsupported> {
        if self.code.direct.is_empty() {
            return Ok(None);
        }
        let Some(made) = self.code.direct.get(&direct_words(plan)) else { return Ok(None) };
        Direct::place(made, plan).map(Some)
    }

    /// The entry of closures whose calls that plan describes, likewise.
    ///
    /// # Errors
    /// When there is no memory for code.
    pub fn callback(&self, plan: &Plan) -> Result<Option<Typed>, Unsupported> {
        if self.code.callbacks.is_empty() {
            return Ok(None);
        }
        let Some(made) = self.code.callbacks.get(&direct_words(plan)) else { return Ok(None) };
        Typed::place(made).map(Some)
    }

    /// The stock as bytes.
    ///
    /// # Errors
    /// When Cranelift does not know this machine, and the stock has code.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unsupported> {
        let written = Written {
            made_by: this_program().into(),
            layout: layout(),
            features: if self.is_empty() { Vec::new() } else { make::features()? },
            code: self.code.clone(),
        };
        postcard::to_allocvec(&written).map_err(|error| Unsupported::Codegen(error.to_string()))
    }

    /// A stock of [`Stock::to_bytes`].
    ///
    /// # Errors
    /// When it does not fit this program, or this processor.
    ///
    /// # Safety
    /// The bytes are what that function has returned, unchanged: they are code that will be run.
    pub unsafe fn from_bytes(bytes: &[u8]) -> Result<Stock, StockError> {
        let unreadable = |error: postcard::Error| StockError::Unreadable(error.to_string());
        // Who made it comes first, because all that follows depends on that.
        let (made_by, _) = postcard::take_from_bytes::<Box<str>>(bytes).map_err(unreadable)?;
        if *made_by != *this_program() {
            return Err(StockError::Version { found: made_by });
        }
        let written = postcard::from_bytes::<Written>(bytes).map_err(unreadable)?;
        if written.layout != layout() {
            return Err(StockError::Layout);
        }
        match written.features.into_iter().find(|feature| !has_feature(feature)) {
            Some(feature) => Err(StockError::Feature(feature)),
            None => Ok(Stock { code: written.code }),
        }
    }
}

/// Everything of a plan that its code depends on, but for numbers that only mean something in one
/// process.
fn words(plan: &Plan) -> Box<str> {
    let mut plan = plan.clone();
    for kind in &mut plan.handle_kinds {
        let alone = kind.id.is_alone();
        kind.id = HandleType(0);
        if alone {
            kind.id = kind.id.alone();
        }
    }
    format!("{:?}", identity(&plan)).into()
}

/// Of a direct trampoline or a closure's entry, which have the guest's type too.
fn direct_words(plan: &Plan) -> Box<str> {
    format!("{}\n{:?}", words(plan), plan.lowering).into()
}

/// Whether this processor has what Cranelift calls so.
#[cfg(target_arch = "x86_64")]
fn has_feature(name: &str) -> bool {
    match name {
        "has_sse3" => is_x86_feature_detected!("sse3"),
        "has_ssse3" => is_x86_feature_detected!("ssse3"),
        "has_cmpxchg16b" => is_x86_feature_detected!("cmpxchg16b"),
        "has_sse41" => is_x86_feature_detected!("sse4.1"),
        "has_sse42" => is_x86_feature_detected!("sse4.2"),
        "has_avx" => is_x86_feature_detected!("avx"),
        "has_avx2" => is_x86_feature_detected!("avx2"),
        "has_fma" => is_x86_feature_detected!("fma"),
        "has_popcnt" => is_x86_feature_detected!("popcnt"),
        "has_bmi1" => is_x86_feature_detected!("bmi1"),
        "has_bmi2" => is_x86_feature_detected!("bmi2"),
        "has_lzcnt" => is_x86_feature_detected!("lzcnt"),
        "has_avx_vnni" => is_x86_feature_detected!("avxvnni"),
        "has_avx512vnni" => is_x86_feature_detected!("avx512vnni"),
        "has_avx512bitalg" => is_x86_feature_detected!("avx512bitalg"),
        "has_avx512dq" => is_x86_feature_detected!("avx512dq"),
        "has_avx512f" => is_x86_feature_detected!("avx512f"),
        "has_avx512vl" => is_x86_feature_detected!("avx512vl"),
        "has_avx512vbmi" => is_x86_feature_detected!("avx512vbmi"),
        _ => false,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has_feature(_: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cranelift_backend::Status;
    use crate::plan::HandleTypes;
    use crate::plan::abi::Abi;
    use crate::plan::binding::Limits;
    use crate::plan::compile::{Target, compile};
    use crate::plan::interpret::with_frame;
    use crate::plan::layout::DataModel;
    use crate::signature::{Record, Scope, parse_prototype};
    use std::cell::Cell;
    use std::ffi::{c_char, c_void};
    use std::ptr;
    use std::sync::Arc;

    struct Numbered(u32);
    impl HandleTypes for Numbered {
        fn number(&self, _: &Record) -> HandleType {
            HandleType(self.0)
        }
    }

    fn plan(text: &str, number: u32) -> Plan {
        let scope = Scope::default();
        let prototype = parse_prototype(text, &scope).unwrap_or_else(|error| panic!("{error}"));
        let target = Target {
            model: DataModel::Ilp32,
            abi: Abi::SysvX86_64,
            leaf: true,
            scope: &scope,
            import: None,
            handle_types: &Numbered(number),
            grants: &|_| None,
        };
        compile(&Arc::new(prototype), &target).unwrap_or_else(|error| panic!("{error}"))
    }

    fn written(texts: &[&str]) -> Vec<u8> {
        let mut stock = Stock::new();
        for text in texts {
            stock.add(&plan(text, 77)).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
        stock.to_bytes().expect("this machine has a compiler")
    }

    fn read(bytes: &[u8]) -> Result<Stock, StockError> {
        // SAFETY: what tests change in them is read before any code is.
        unsafe { Stock::from_bytes(bytes) }
    }

    unsafe extern "C" fn length_and(text: *const c_char, object: *const u32) -> i32 {
        // SAFETY: the plan has checked both.
        unsafe { i32::try_from(libc::strlen(text)).expect("short") + (*object).cast_signed() }
    }

    #[test]
    fn code_from_a_file_does_what_it_did_and_has_the_numbers_of_this_process() {
        const TEXT: &str = "int length_and(const char *text, struct thing *object)";
        let stock = read(&written(&[TEXT, "double cos(double x)"])).expect("it was just written");
        assert_eq!(stock.len(), 2);
        // Another process numbers its types otherwise, and calls its parameters as it likes.
        let here = plan("int length_and(const char *s, struct thing *o)", 5);
        let trampoline = stock.trampoline(&here).expect("there is memory").expect("it is there");
        let store = StoreBlock::new(Limits::default());
        let object = 100_u32;
        let pointer = (&raw const object).cast_mut().cast::<c_void>();
        let adopt =
            |kind| store.with_handles(|table| table.adopt(pointer, kind, true, None, ptr::null()));
        let (right, wrong) = (adopt(HandleType(5)), adopt(HandleType(77)));
        let mut memory = vec![0_u8; 4096];
        memory[64..104].fill(b'x');
        let binding = Binding {
            target: length_and as *const c_void,
            store: &raw const store,
            memory_base: Cell::new(memory.as_mut_ptr()),
            memory_len: Cell::new(4096),
            callees: [].as_ptr(),
            instance: 0,
            errno: Cell::new(0),
        };
        let call = |handle: Option<u32>| {
            let words = [64, u64::from(handle.expect("there is room"))];
            let mut slots = words.map(|low| GuestSlot { low, high: 0 });
            // SAFETY: the trampoline is that of the plan; the frame is one of it.
            let status = with_frame(&here, |frame| unsafe {
                trampoline.entry().enter(&binding, slots.as_mut_ptr(), frame)
            });
            (status, slots[0].low)
        };
        assert_eq!(call(right), (Status::Done, 140));
        assert_eq!(call(wrong).0, Status::Redo);
    }

    #[test]
    fn only_what_was_made_is_there() {
        let stock = read(&written(&["int f(int a __range(0, 5))"])).expect("it was just written");
        let has = |text| stock.trampoline(&plan(text, 1)).expect("there is memory").is_some();
        assert!(has("int g(int b __range(0, 5))"), "names are not in the code");
        for other in ["int f(int a __range(0, 6))", "int f(int a)", "int f(short a __range(0, 5))"]
        {
            assert!(!has(other), "{other}");
        }
        assert_eq!(Stock::new().add(&plan("int f(long double a)", 1)), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = written(&["int f(int a)"]);
        for length in 0..good.len() {
            let error = read(&good[..length]).expect_err("it is cut off");
            assert!(matches!(error, StockError::Unreadable(_)), "{length}: {error}");
        }
        let mut parts = postcard::from_bytes::<Written>(&good).expect("it was just written");
        let bytes = |parts: &Written| postcard::to_allocvec(parts).expect("it is plain data");
        let features = std::mem::replace(&mut parts.features, vec!["has_wings".into()]);
        assert!(features.iter().all(|feature| has_feature(feature)), "{features:?}");
        let error = read(&bytes(&parts)).expect_err("no processor has them");
        assert_eq!(error, StockError::Feature("has_wings".into()));
        parts.layout[3] += 8;
        assert_eq!(read(&bytes(&parts)).expect_err("another frame"), StockError::Layout);
        parts.made_by = "portcullis 0.0".into();
        let error = read(&bytes(&parts)).expect_err("another version").to_string();
        assert!(error.contains("portcullis 0.0") && error.contains(&this_program()), "{error}");
    }
}
