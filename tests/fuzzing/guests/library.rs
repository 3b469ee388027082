//! The native library of the guests: objects that own, hold and call others, in Rust.
//!
//! It knows at any time which of its objects are alive. To be called with one that is not, or to find that what it
//! was promised to keep is gone, ends the process: no error of the bridge could excuse that.
#![expect(unsafe_code, reason = "plays a C library")]
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};

pub const INTERFACE: &str = r#"
#pragma portcullis library "libnodes.so" module "nodes"
typedef struct node node __drop(node_free);
struct point { long x; int y; };

node *node_new(int value);
node *_Nullable __lifetimebound(parent) node_child(node *parent, int value);
node *__borrowed node_same(node *n);
int node_get(node *n) __leaf;
void node_free(node *__consumes n);
int node_try_free(node *__consumes_if(return == 0) n, int refuse);
const char *__lifetimebound(n) node_name(node *n);
void node_step(node *__invalidates n);
void node_hold(node *n, node *__captured_by(n) other);
int node_each(int (*f)(node *n, int at), int count, node *n);
int node_visit(node *n, int (*f)(void *__cookie user, int at), void *__cookie user);
void node_hook(node *n, int (*_Nullable f)(int value) __captured_by(n));
int node_fire(node *n, int value);

void fill(uint8_t *_Out_ __counted_by(n) to, unsigned n, int value) __leaf;
unsigned sum(const uint8_t *__counted_by(n) at, unsigned n) __leaf;
int length(const char *s) __leaf;
long exchange(int *_Inout_ a, long *_Inout_ b) __leaf;
int points(struct point *_Inout_ __counted_by(n) all, int n);
char *__null_terminated __freed_by(text_free) text_new(int n);
void text_free(void *text);
"#;

struct Node {
    /// How many times it must be freed.
    owners: u32,
    value: c_int,
    parent: *mut Node,
    children: Vec<*mut Node>,
    held: Vec<*mut Node>,
    hook: Option<Hook>,
    name: [u8; 16],
}

type Hook = extern "C" fn(c_int) -> c_int;

#[derive(Default)]
struct Alive {
    nodes: BTreeSet<usize>,
    texts: BTreeSet<usize>,
}

thread_local! {
    static ALIVE: RefCell<Alive> = RefCell::default();
}

/// Whether there is such an object.
pub fn is_alive(node: usize) -> bool {
    ALIVE.with_borrow(|alive| alive.nodes.contains(&node))
}

/// How many objects and texts there are.
pub fn alive() -> (usize, usize) {
    ALIVE.with_borrow(|alive| (alive.nodes.len(), alive.texts.len()))
}

/// The store is about to end: what keeps another object is destroyed before it, unless they keep each other in a
/// circle, or it is what it lends (see `HandleTable::drain`). Such objects hold nothing from now on.
pub fn ends() {
    let all: Vec<*mut Node> = ALIVE.with_borrow(|alive| {
        alive.nodes.iter().map(|at| std::ptr::with_exposed_provenance_mut(*at)).collect()
    });
    // What must be destroyed later than an object.
    let later = |at: *mut Node| {
        let node = node(at, "ends");
        let parent = Some(node.parent).filter(|parent| !parent.is_null());
        parent.into_iter().chain(node.held.iter().copied()).collect::<Vec<_>>()
    };
    let reaches = |from: *mut Node, to: *mut Node| {
        let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
        while let Some(at) = next.pop() {
            next.extend(later(at).into_iter().filter(|one| seen.insert(*one)));
        }
        seen.contains(&to)
    };
    let kept = |captor: *mut Node| -> Vec<*mut Node> {
        let held = node(captor, "ends").held.iter().copied();
        held.filter(|held| !reaches(*held, captor)).collect()
    };
    let kept: Vec<_> = all.iter().map(|captor| kept(*captor)).collect();
    for (captor, kept) in all.into_iter().zip(kept) {
        node(captor, "ends").held = kept;
    }
}

/// Names of functions and their addresses.
pub fn functions() -> [(&'static str, *const c_void); 20] {
    [
        ("node_new", node_new as *const c_void),
        ("node_child", node_child as *const c_void),
        ("node_same", node_same as *const c_void),
        ("node_get", node_get as *const c_void),
        ("node_free", node_free as *const c_void),
        ("node_try_free", node_try_free as *const c_void),
        ("node_name", node_name as *const c_void),
        ("node_step", node_step as *const c_void),
        ("node_hold", node_hold as *const c_void),
        ("node_each", node_each as *const c_void),
        ("node_visit", node_visit as *const c_void),
        ("node_hook", node_hook as *const c_void),
        ("node_fire", node_fire as *const c_void),
        ("fill", fill as *const c_void),
        ("sum", sum as *const c_void),
        ("length", length as *const c_void),
        ("exchange", exchange as *const c_void),
        ("points", points as *const c_void),
        ("text_new", text_new as *const c_void),
        ("text_free", text_free as *const c_void),
    ]
}

/// The object, which must be alive.
fn node<'a>(at: *mut Node, who: &str) -> &'a mut Node {
    assert!(is_alive(at.addr()), "{who}: the object at {at:p} is gone");
    // SAFETY: it was made by `make`, and not freed yet; one thread has it.
    unsafe { &mut *at }
}

fn make(value: c_int, parent: *mut Node) -> *mut Node {
    let mut name = [0; 16];
    for (place, byte) in name.iter_mut().zip(format!("node {value:x}").bytes()) {
        *place = byte;
    }
    let new = Box::new(Node {
        owners: 1,
        value,
        parent,
        children: Vec::new(),
        held: Vec::new(),
        hook: None,
        name,
    });
    let new = Box::into_raw(new);
    ALIVE.with_borrow_mut(|alive| alive.nodes.insert(new.expose_provenance()));
    new
}

extern "C" fn node_new(value: c_int) -> *mut Node {
    make(value, std::ptr::null_mut())
}

extern "C" fn node_child(parent: *mut Node, value: c_int) -> *mut Node {
    if value % 5 == 0 {
        return std::ptr::null_mut();
    }
    // Now and then one that the guest has already.
    if value % 3 == 0
        && let Some(child) = node(parent, "node_child").children.last().copied()
    {
        node(child, "node_child, again").owners += 1;
        return child;
    }
    let new = make(value, parent);
    node(parent, "node_child").children.push(new);
    new
}

extern "C" fn node_same(n: *mut Node) -> *mut Node {
    node(n, "node_same");
    n
}

extern "C" fn node_get(n: *mut Node) -> c_int {
    node(n, "node_get").value
}

extern "C" fn node_free(n: *mut Node) {
    let own = node(n, "node_free");
    own.owners -= 1;
    if own.owners > 0 {
        return;
    }
    let parent = node(n, "node_free").parent;
    if !parent.is_null() {
        node(parent, "node_free, of the parent").children.retain(|child| *child != n);
    }
    let (mut all, mut at) = (vec![n], 0);
    while let Some(next) = all.get(at).copied() {
        all.extend(&node(next, "node_free, of a child").children);
        at += 1;
    }
    // What it holds is there until it is gone itself.
    for one in &all {
        for held in &node(*one, "node_free").held {
            node(*held, "node_free, of what is held");
        }
    }
    for one in all {
        ALIVE.with_borrow_mut(|alive| alive.nodes.remove(&one.addr()));
        // SAFETY: it was made by `make`, and not freed yet.
        drop(unsafe { Box::from_raw(one) });
    }
}

extern "C" fn node_try_free(n: *mut Node, refuse: c_int) -> c_int {
    node(n, "node_try_free");
    if refuse & 1 == 0 {
        node_free(n);
    }
    refuse & 1
}

extern "C" fn node_name(n: *mut Node) -> *const c_char {
    node(n, "node_name").name.as_ptr().cast()
}

extern "C" fn node_step(n: *mut Node) {
    let n = node(n, "node_step");
    n.value = n.value.wrapping_add(1);
    n.name[0] ^= 1;
}

extern "C" fn node_hold(n: *mut Node, other: *mut Node) {
    node(other, "node_hold");
    node(n, "node_hold").held.push(other);
}

extern "C" fn node_each(
    f: extern "C" fn(*mut Node, c_int) -> c_int,
    count: c_int,
    n: *mut Node,
) -> c_int {
    let mut sum = 0_i32;
    for at in 0..count.clamp(0, 3) {
        sum = sum.wrapping_add(f(n, at));
        node(n, "node_each");
    }
    sum
}

extern "C" fn node_visit(
    n: *mut Node,
    f: extern "C" fn(*mut c_void, c_int) -> c_int,
    user: *mut c_void,
) -> c_int {
    let result = f(user, node(n, "node_visit").value);
    node(n, "node_visit");
    result
}

extern "C" fn node_hook(n: *mut Node, f: Option<Hook>) {
    node(n, "node_hook").hook = f;
}

extern "C" fn node_fire(n: *mut Node, value: c_int) -> c_int {
    let Some(hook) = node(n, "node_fire").hook else { return -1 };
    let result = hook(value);
    node(n, "node_fire");
    result
}

extern "C" fn fill(to: *mut u8, n: c_uint, value: c_int) {
    if n > 0 {
        // SAFETY: so much is there, as the prototype says.
        unsafe { to.write_bytes(value as u8, n as usize) };
    }
}

extern "C" fn sum(at: *const u8, n: c_uint) -> c_uint {
    if n == 0 {
        return 0;
    }
    // SAFETY: so much is there, as the prototype says.
    let bytes = unsafe { std::slice::from_raw_parts(at, n as usize) };
    bytes.iter().fold(0, |sum: c_uint, byte| sum.wrapping_add((*byte).into()))
}

extern "C" fn length(s: *const c_char) -> c_int {
    // SAFETY: it is a string, as the prototype says.
    c_int::try_from(unsafe { CStr::from_ptr(s) }.count_bytes()).unwrap_or(c_int::MAX)
}

extern "C" fn exchange(a: *mut c_int, b: *mut c_long) -> c_long {
    // SAFETY: both are there, as the prototype says; they may lie over each other.
    unsafe {
        let (old_a, old_b) = (a.read_unaligned(), b.read_unaligned());
        a.write_unaligned(old_b as c_int);
        b.write_unaligned(old_a.into());
        old_b.wrapping_add(old_a.into()) & 0xffff
    }
}

#[repr(C)]
struct Point {
    x: c_long,
    y: c_int,
}

extern "C" fn points(all: *mut Point, n: c_int) -> c_int {
    let n = usize::try_from(n).unwrap_or(0);
    for at in 0..n {
        // SAFETY: so many are there, as the prototype says.
        let point = unsafe { &mut *all.add(at) };
        point.x = point.x.wrapping_add(point.y.into());
        point.y = point.y.wrapping_neg();
    }
    c_int::try_from(n).unwrap_or(0)
}

extern "C" fn text_new(n: c_int) -> *mut c_char {
    let text = vec![b'x'; n.clamp(0, 100) as usize];
    let text = std::ffi::CString::new(text).expect("no NUL").into_raw();
    ALIVE.with_borrow_mut(|alive| alive.texts.insert(text.addr()));
    text
}

extern "C" fn text_free(text: *mut c_void) {
    assert!(ALIVE.with_borrow_mut(|alive| alive.texts.remove(&text.addr())), "text_free: {text:p}");
    // SAFETY: it was made by `text_new`, and not freed yet.
    drop(unsafe { std::ffi::CString::from_raw(text.cast()) });
}
