//! The loaded library of a batch, and values that its functions make.
use crate::c_text::table_index;
use crate::generate::{Batch, Case};
use crate::types::{SCALARS, Type};
use libloading::Library;
use std::ffi::c_void;
use std::path::Path;

type Make = unsafe extern "C" fn(*mut c_void);
type Hash = unsafe extern "C" fn(*const c_void);

/// An entry of `types` in the C text.
#[repr(C)]
struct Entry {
    make: Make,
    hash: Hash,
    size: u64,
    align: u64,
}

/// `world` in the C text.
#[repr(C)]
struct World {
    /// Where the stream of the arguments starts; that of the result starts at its complement.
    seed: u64,
    stream: u64,
    hash: u64,
    /// The hash of the arguments.
    seen: u64,
    calls: u64,
}

/// A library that `c_text::source` wrote.
pub struct Loaded {
    types: &'static [Entry],
    /// Callee and caller of each case.
    functions: &'static [[*const c_void; 2]],
    world: *mut World,
    received: extern "C" fn(),
    /// What the references above point into.
    _library: Library,
}

// SAFETY: the one thread that runs a batch has all of its library; closures make the type system
// ask.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Loaded {
    pub fn open(path: &Path, batch: &Batch) -> Loaded {
        // SAFETY: the library has no constructors.
        let library = unsafe { Library::new(path) }.unwrap_or_else(|error| panic!("{error}"));
        let address = |name: &str| -> *mut c_void {
            // SAFETY: only the address of the symbol is used here.
            let symbol = unsafe { library.get::<*mut c_void>(name) };
            *symbol.expect("every library has it")
        };
        // SAFETY: the text defines both arrays with these lengths and these layouts; they live as
        // long as the library, which lives as long as the value that holds the references.
        let (types, functions) = unsafe {
            (
                std::slice::from_raw_parts(
                    address("types").cast(),
                    SCALARS.len() + batch.records.len(),
                ),
                std::slice::from_raw_parts(address("functions").cast(), batch.cases.len()),
            )
        };
        // SAFETY: `void received(void)`.
        let received =
            unsafe { std::mem::transmute::<*mut c_void, extern "C" fn()>(address("received")) };
        Loaded { types, functions, world: address("world").cast(), received, _library: library }
    }

    fn entry(&self, ty: &Type) -> &Entry {
        &self.types[table_index(ty)]
    }

    /// What gcc's `sizeof` says.
    pub fn size(&self, ty: &Type) -> usize {
        usize::try_from(self.entry(ty).size).expect("small")
    }

    /// What gcc's `_Alignof` says.
    pub fn align(&self, ty: &Type) -> usize {
        usize::try_from(self.entry(ty).align).expect("small")
    }

    /// Makes the value that comes next in the stream.
    ///
    /// # Safety
    /// `place` is aligned memory of that type.
    pub unsafe fn make(&self, ty: &Type, place: *mut c_void) {
        // SAFETY: the function writes to one value.
        unsafe { (self.entry(ty).make)(place) }
    }

    /// Adds the members of a value to the hash.
    ///
    /// # Safety
    /// `value` is an aligned value of that type.
    pub unsafe fn hash(&self, ty: &Type, value: *const c_void) {
        // SAFETY: the function reads one value.
        unsafe { (self.entry(ty).hash)(value) }
    }

    /// What a callee says when it has hashed its arguments: the result comes next.
    pub fn received(&self) {
        (self.received)();
    }

    /// The function with the prototype of the case.
    pub fn callee(&self, case: &Case) -> *const c_void {
        self.functions[case.number][0]
    }

    /// Calls `function` as the C compiler does it, and hashes its result.
    ///
    /// # Safety
    /// It is a function with the prototype of the case.
    pub unsafe fn call(&self, case: &Case, function: *const c_void) {
        let caller = self.functions[case.number][1];
        // SAFETY: every caller takes a function and returns nothing.
        unsafe {
            let caller: unsafe extern "C" fn(*const c_void) = std::mem::transmute(caller);
            caller(function);
        }
    }

    /// Begins a call whose values come from this seed.
    pub fn start(&self, seed: u64) {
        let world = World { seed, stream: seed, hash: 1, seen: 0, calls: 0 };
        // SAFETY: only the thread that runs the batch uses its library.
        unsafe { self.world.write(world) }
    }

    /// What the call showed, if the callee ran once.
    pub fn outcome(&self) -> Result<Outcome, String> {
        // SAFETY: as in `start`.
        match unsafe { self.world.read() } {
            World { seen, hash, calls: 1, .. } => Ok(Outcome { seen, returned: hash }),
            World { calls, .. } => Err(format!("the function ran {calls} times")),
        }
    }
}

/// Hashes of what the callee received and of what the caller got back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub seen: u64,
    pub returned: u64,
}

/// As much memory as the largest alignment of the generator.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Block([u8; 64]);

/// What memory holds where nobody has written.
const UNTOUCHED: u8 = 0xa5;

/// The values of one call.
pub struct Values {
    /// Keeps what the pointers point at.
    _memory: Vec<Block>,
    pub arguments: Vec<*mut c_void>,
    /// Room for a result, at least 64 bytes of it.
    pub result: *mut c_void,
    /// Bytes from `result` on up to the end of the memory.
    room: usize,
    /// What the call has to show.
    pub expected: Outcome,
}

impl Values {
    /// The values of a call of that case. Begins the call.
    pub fn new(library: &Loaded, case: &Case, seed: u64) -> Values {
        let blocks = |ty: &Type| library.size(ty).div_ceil(64).max(1);
        let result_blocks = case.result.as_ref().map_or(1, blocks);
        let count = case.params.iter().map(blocks).sum::<usize>() + result_blocks;
        // One more, so that what is written behind a result is found.
        let mut memory = vec![Block([UNTOUCHED; 64]); count + 1];
        let mut arguments = Vec::new();
        let mut at = 0;
        library.start(seed);
        for ty in &case.params {
            let place: *mut c_void = std::ptr::from_mut(&mut memory[at]).cast();
            // SAFETY: so many blocks were counted for it.
            unsafe {
                library.make(ty, place);
                library.hash(ty, place);
            }
            arguments.push(place);
            at += blocks(ty);
        }
        library.received();
        let result: *mut c_void = std::ptr::from_mut(&mut memory[at]).cast();
        if let Some(ty) = &case.result {
            // SAFETY: so many blocks were counted for it.
            unsafe {
                library.make(ty, result);
                library.hash(ty, result);
            }
        }
        let expected = library.outcome().expect("`received` was called once");
        memory[at..].fill(Block([UNTOUCHED; 64]));
        library.start(seed);
        let room = 64 * (result_blocks + 1);
        Values { _memory: memory, arguments, result, room, expected }
    }

    /// Adds what stands in the memory for the result to the hash.
    pub fn hash_result(&self, library: &Loaded, case: &Case) {
        if let Some(ty) = &case.result {
            // SAFETY: the memory is that of a result; whatever bytes there are can be hashed.
            unsafe { library.hash(ty, self.result) }
        }
    }

    /// Whether nothing was written behind a result of `size` bytes.
    pub fn is_clean(&self, size: usize) -> bool {
        // SAFETY: the memory has so many bytes, and all are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(self.result.cast::<u8>(), self.room) };
        bytes[size..].iter().all(|byte| *byte == UNTOUCHED)
    }
}
