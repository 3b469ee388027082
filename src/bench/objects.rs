//! Rows with handles and with functions of the guest that native code calls back.
#![expect(unsafe_code, reason = "plays a C library and calls it through addresses")]
use super::memory::buffer;
use super::near;
use super::row::{Address, Grant, Guest, Row, State, c_loops, symbol};
use super::scalars::{near_or, own};
use crate::interfaces;
use std::cell::Cell;
use std::ffi::c_void;
use std::mem::transmute;
use std::ptr;
use wasmtime::{Caller, Func, Result, TypedFunc, format_err};

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    vec![handle(), callback(), sort()]
}

/// What stands behind the handle.
type Counter = Cell<i32>;
type New = extern "C" fn() -> *const Counter;
extern "C" fn counter_new() -> *const Counter {
    Box::into_raw(Box::new(Cell::new(0)))
}
type Free = unsafe extern "C" fn(*const Counter);
/// # Safety
/// It is a counter that nobody uses afterwards.
unsafe extern "C" fn counter_free(counter: *const Counter) {
    // SAFETY: `counter_new` has made it.
    drop(unsafe { Box::from_raw(counter.cast_mut()) });
}
type Next = unsafe extern "C" fn(*const Counter, i32) -> i32;
/// # Safety
/// It is a counter.
unsafe extern "C" fn counter_add(counter: *const Counter, a: i32) -> i32 {
    // SAFETY: the caller's promise.
    let counter = unsafe { &*counter };
    counter.set(counter.get().wrapping_add(a));
    counter.get()
}

fn handle() -> Row {
    const INTERFACE: &str = "typedef struct counter counter __drop(counter_free);
counter *counter_new(void);
void counter_free(counter *__consumes c);
int counter_add(counter *c, int a);";
    let next = near_or("counter_add", counter_add as Next as *const c_void);
    let symbols = vec![
        ("counter_new", Address(counter_new as New as *const c_void)),
        ("counter_free", Address(counter_free as Free as *const c_void)),
        ("counter_add", next),
    ];
    let call = "(call $f (global.get $h) (local.get $last))";
    Row {
        id: "handle".to_owned(),
        title: "handle of an opaque object: counter *, int".to_owned(),
        group: "objects and callbacks",
        prototype: "int counter_add(counter *c, int a)".to_owned(),
        arguments: None,
        listed: true,
        grant: own(INTERFACE, symbols),
        guest: Guest {
            imports: "(import \"bench\" \"counter_new\" (func $new (result i32)))".to_owned(),
            setup: "(global.set $h (call $new))".to_owned(),
            ..Guest::chained("bench", "counter_add", "i32 i32", "i32", call)
        },
        c: Box::new(move || {
            let counter = Address(counter_new().cast());
            // SAFETY: the function is of this type; the counter is never freed.
            let call = move |f, last: i32, _| unsafe {
                transmute::<*const c_void, Next>(f)(counter.get().cast(), last)
            };
            let near = near::loops("pointer", "int", next, counter);
            Ok(near.unwrap_or_else(|| c_loops(next, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let next = std::hint::black_box(next);
            // In the guest of this contender `$h` is 0.
            store.data_mut().objects = vec![Address(counter_new().cast())];
            let glue = move |caller: Caller<'_, State>, handle: u32, a: i32| -> Result<i32> {
                let object = caller.data().objects.get(handle as usize);
                let object = object.ok_or_else(|| format_err!("no such object"))?.0;
                // SAFETY: likewise.
                Ok(unsafe { transmute::<*const c_void, Next>(next.get())(object.cast(), a) })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}

type Each = unsafe extern "C" fn(i32) -> i32;
type Apply = unsafe extern "C" fn(Each, i32) -> i32;
/// # Safety
/// As the function that it is given.
unsafe extern "C" fn apply(f: Each, x: i32) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { f(x) }.wrapping_add(1)
}
/// What the guest's function does, too.
unsafe extern "C" fn triple(x: i32) -> i32 {
    x.wrapping_mul(3)
}

/// What a C function that calls back finds: who is calling, what to call, and what went wrong.
struct Running<T> {
    caller: *mut c_void,
    function: T,
    failed: Option<wasmtime::Error>,
    /// Where the guest has room for two `int`s.
    scratch: usize,
}
thread_local! {
    static RUNNING: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

impl<T> Running<T> {
    /// Calls `native`, during which C may call back.
    fn during<R>(&mut self, native: impl FnOnce() -> R) -> Result<R> {
        let outer = RUNNING.replace(ptr::from_mut(self).cast());
        let result = native();
        RUNNING.set(outer);
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(result),
        }
    }
}

/// # Safety
/// C runs below a [`Running::during`] of this type.
unsafe extern "C" fn enter(x: i32) -> i32 {
    // SAFETY: the caller's promise; the caller of the host function is alive meanwhile, and used by nobody
    // else.
    let (running, caller) = unsafe {
        let running = &mut *RUNNING.get().cast::<Running<TypedFunc<i32, i32>>>();
        (&mut *ptr::from_mut(running), &mut *running.caller.cast::<Caller<'_, State>>())
    };
    running.function.call(caller, x).unwrap_or_else(|error| {
        running.failed = Some(error);
        0
    })
}

fn table(store: &Caller<'_, State>) -> Result<wasmtime::Table> {
    store.data().table.ok_or_else(|| format_err!("no table"))
}

fn callback() -> Row {
    const PROTOTYPE: &str = "int apply(int (*f)(int), int x)";
    let address = near_or("apply", apply as Apply as *const c_void);
    Row {
        id: "callback".to_owned(),
        title: "callback: int apply(int (*f)(int), int)".to_owned(),
        group: "objects and callbacks",
        prototype: PROTOTYPE.to_owned(),
        arguments: None,
        listed: true,
        grant: own(&format!("{PROTOTYPE};"), vec![("apply", address)]),
        guest: Guest {
            rest: "(table (export \"__indirect_function_table\") 2 funcref)
(elem (i32.const 1) func $triple)
(func $triple (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))"
                .to_owned(),
            ..Guest::chained(
                "bench",
                "apply",
                "i32 i32",
                "i32",
                "(call $f (i32.const 1) (local.get $last))",
            )
        },
        c: Box::new(move || {
            // SAFETY: the functions are of these types.
            let call =
                |f, last: i32, _| unsafe { transmute::<*const c_void, Apply>(f)(triple, last) };
            let back = near_or("triple", triple as Each as *const c_void);
            let near = near::loops("pointer", "int", address, back);
            Ok(near.unwrap_or_else(|| c_loops(address, 1, call, |last, n| last ^ n)))
        }),
        wrap: Box::new(move |store| {
            let address = std::hint::black_box(address);
            let glue = move |mut caller: Caller<'_, State>, f: u32, x: i32| -> Result<i32> {
                let function = match &caller.data().callback {
                    Some((known, function)) if *known == f => function.clone(),
                    _ => {
                        let found = table(&caller)?.get(&mut caller, f.into());
                        let found = found.and_then(|found| found.as_func().flatten().copied());
                        let found = found.ok_or_else(|| format_err!("no function"))?;
                        let function = found.typed::<i32, i32>(&caller)?;
                        caller.data_mut().callback = Some((f, function.clone()));
                        function
                    }
                };
                let caller = ptr::from_mut(&mut caller).cast();
                let mut running = Running { caller, function, failed: None, scratch: 0 };
                // SAFETY: likewise; it runs below `during`.
                running.during(|| unsafe {
                    transmute::<*const c_void, Apply>(address.get())(enter, x)
                })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}

type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> i32;
type Sort = unsafe extern "C" fn(*mut c_void, usize, usize, Compare);
/// # Safety
/// Both are `int`s.
unsafe extern "C" fn compare(a: *const c_void, b: *const c_void) -> i32 {
    // SAFETY: the caller's promise.
    let (a, b) = unsafe { (a.cast::<i32>().read(), b.cast::<i32>().read()) };
    i32::from(a > b) - i32::from(a < b)
}
/// # Safety
/// Both are `int`s, and C runs below a [`Running::during`] of this type.
unsafe extern "C" fn enter_compare(a: *const c_void, b: *const c_void) -> i32 {
    // SAFETY: as in `enter`.
    let (running, caller) = unsafe {
        let running = &mut *RUNNING.get().cast::<Running<TypedFunc<(i32, i32), i32>>>();
        (&mut *ptr::from_mut(running), &mut *running.caller.cast::<Caller<'_, State>>())
    };
    // C may have copied them somewhere else, where the guest does not get at them.
    // SAFETY: the caller's promise.
    let values = unsafe { [a, b].map(|value| value.cast::<[u8; 4]>().read()) };
    let at = running.scratch;
    let Some(memory) = caller.data().memory else { return 0 };
    let scratch = memory.data_mut(&mut *caller).get_mut(at..at + 8);
    let Some(scratch) = scratch else { return 0 };
    scratch.copy_from_slice(&values.concat());
    let at = i32::try_from(at).unwrap_or(0);
    running.function.call(caller, (at, at + 4)).unwrap_or_else(|error| {
        running.failed = Some(error);
        0
    })
}

/// How many `int`s are sorted. They are sorted already after the first time.
const SORTED: u32 = 64;

fn sort() -> Row {
    let call = format!(
        "(call $f (i32.const 1024) (i32.const {SORTED}) (i32.const 4) (i32.const 1)) \
         (local.set $last (i32.xor (local.get $last) (local.get $n)))"
    );
    let mut guest = Guest::chained("libc", "qsort", "i32 i32 i32 i32", "i32", "");
    guest.result.clear();
    guest.step = call;
    guest.rest = "(table (export \"__indirect_function_table\") 2 funcref)
(elem (i32.const 1) func $compare)
(func $compare (param $a i32) (param $b i32) (result i32) (local $x i32) (local $y i32)
  (local.set $x (i32.load (local.get $a)))
  (local.set $y (i32.load (local.get $b)))
  (i32.sub (i32.gt_s (local.get $x) (local.get $y)) (i32.lt_s (local.get $x) (local.get $y))))"
        .to_owned();
    let find = || symbol("libc.so.6", "qsort");
    Row {
        id: "qsort".to_owned(),
        title: format!("qsort of {SORTED} sorted ints, compared by a callback"),
        group: "objects and callbacks",
        prototype: "void qsort(void *base, size_t n, size_t size, int (*compar)(const void *, const void *))"
            .to_owned(),
        arguments: None,
        listed: true,
        grant: Grant::Shipped(interfaces::libc()),
        guest,
        c: Box::new(move || {
            let data = Cell::new([0_i32; SORTED as usize]);
            // SAFETY: the function is of this type, and there are so many `int`s.
            let call = move |f, last: i32, n: i32| unsafe {
                transmute::<*const c_void, Sort>(f)(data.as_ptr().cast(), SORTED as usize, 4, compare);
                last ^ n
            };
            Ok(c_loops(find()?, 1, call, |last, n| last ^ n))
        }),
        wrap: Box::new(move |store| {
            let address = find()?;
            let glue = move |mut caller: Caller<'_, State>, at: u32, n: u32, size: u32, f: u32| -> Result<()> {
                let bytes = n.checked_mul(size).ok_or_else(|| format_err!("too large"))?;
                let base = buffer(&caller, at, bytes)?;
                if size != 4 {
                    return Err(format_err!("only `int`s are sorted"));
                }
                let function = match &caller.data().compare {
                    Some((known, function)) if *known == f => function.clone(),
                    _ => {
                        let found = table(&caller)?.get(&mut caller, f.into());
                        let found = found.and_then(|found| found.as_func().flatten().copied());
                        let found = found.ok_or_else(|| format_err!("no function"))?;
                        let function = found.typed::<(i32, i32), i32>(&caller)?;
                        caller.data_mut().compare = Some((f, function.clone()));
                        function
                    }
                };
                let caller = ptr::from_mut(&mut caller).cast();
                let mut running = Running { caller, function, failed: None, scratch: 2048 };
                // SAFETY: likewise; the range was checked, memories do not move, and it runs below `during`.
                running.during(|| unsafe {
                    let base = base.cast_mut().cast();
                    transmute::<*const c_void, Sort>(address.get())(base, n as usize, 4, enter_compare);
                })
            };
            Ok(Func::wrap(store, glue))
        }),
    }
}
