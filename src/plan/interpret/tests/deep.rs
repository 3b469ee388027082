//! Pointed-to data that is hostile, or that native code changes: what is refused and how it is said,
//! and that nothing was written when something is.
use super::Bench;
use std::ffi::c_void;

extern "C" fn nothing(_: *const c_void, _: i64) -> i32 {
    7
}

fn bench(prototype: &str) -> Bench {
    Bench::new(prototype, nothing as *const c_void)
}

fn put(bench: &mut Bench, at: usize, words: &[u32]) {
    for (index, word) in words.iter().enumerate() {
        let at = at + 4 * index;
        bench.memory[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
}

const VEC: &str = "int f(const struct iovec { void *__sized_by(iov_len) iov_base; size_t iov_len; } \
    *__counted_by(count) vec, long count)";
const LIST: &str = "int f(const struct node { long value; struct node *_Nullable next; } *list)";

#[test]
fn errors_name_the_field_and_the_element() {
    let mut bench = bench(VEC);
    put(&mut bench, 64, &[128, 16, 0, 0, 8190, 3]);
    assert_eq!(bench.call(&[64, 2]), Ok(7));
    let error = bench.call(&[64, 3]).expect_err("two bytes too many");
    assert!(
        error.contains("`vec[2].iov_base`, counted by `iov_len`: 3 bytes at 0x1ffe reach past"),
        "{error}"
    );
    put(&mut bench, 64, &[0, 1]);
    let error = bench.call(&[64, 1]).expect_err("NULL");
    assert!(error.contains("`vec[0].iov_base`: the pointer is 0"), "{error}");
}

#[test]
fn counts_that_overflow_are_refused() {
    let mut bench = bench(VEC);
    for count in [1 << 31, u64::from(u32::MAX), 0x2000_0000, 1021] {
        assert!(bench.call(&[64, count]).is_err(), "{count:#x}");
    }
    put(&mut bench, 64, &[64, u32::MAX]);
    assert!(bench.call(&[64, 1]).is_err());
}

#[test]
fn cycles_are_refused_and_long_lists_are_not() {
    let mut bench = bench(LIST);
    put(&mut bench, 64, &[1, 72, 2, 80, 3, 0]);
    assert_eq!(bench.call(&[64]), Ok(7));
    put(&mut bench, 84, &[72]);
    let error = bench.call(&[64]).expect_err("a cycle");
    let said = "`list->next->next->next`: points back to an object that is being copied";
    assert!(error.contains(said), "{error}");
    for node in 0..1000_u32 {
        put(&mut bench, 64 + 8 * node as usize, &[node, 64 + 8 * (node + 1)]);
    }
    put(&mut bench, 64 + 8 * 999 + 4, &[64 + 8 * 500]);
    let error = bench.call(&[64]).expect_err("a long cycle");
    assert!(error.contains("->...") && error.len() < 400, "{error}");
}

#[test]
fn arrays_end_inside_the_memory() {
    let mut bench = bench("int f(const char *__null_terminated *_In_ __null_terminated argv)");
    bench.memory.fill(1);
    assert!(bench.call(&[8192 - 8]).is_err());
    put(&mut bench, 8192 - 8, &[100, 0]);
    assert_eq!(bench.call(&[8192 - 8]), Ok(7), "the last word ends array and string");
}

extern "C" fn change(p: *mut [u64; 3]) -> i32 {
    // SAFETY: the test passes such an object.
    unsafe {
        (*p)[0] += 1;
        match (*p)[2] {
            1 => (*p)[1] = 0,
            2 => (*p)[1] = p as u64,
            3 => (*p)[1] = 0x1234,
            4 => (*p)[0] = 1 << 40,
            _ => {}
        }
    }
    0
}

const NODE: &str = "int f(struct node { unsigned long value; struct node *_Nullable next; \
    unsigned long what; } *_Inout_ list)";

#[test]
fn changed_pointers_come_back_or_trap() {
    let mut bench = Bench::new(NODE, change as *const c_void);
    let found = |bench: &Bench| -> Vec<u32> {
        let words = bench.memory[64..76].chunks_exact(4);
        words.map(|w| u32::from_le_bytes(w.try_into().expect("four"))).collect()
    };
    put(&mut bench, 128, &[5, 0, 0]);
    for (what, expected) in [(0, [2, 128, 0]), (1, [2, 0, 1]), (2, [2, 64, 2])] {
        put(&mut bench, 64, &[1, 128, what]);
        assert_eq!(bench.call(&[64]), Ok(0));
        assert_eq!(found(&bench), expected);
    }
    for (what, said) in [(3, "`list->next`: native code returned"), (4, "`list->value`: the value")]
    {
        put(&mut bench, 64, &[1, 128, what]);
        let error = bench.call(&[64]).expect_err("it cannot come back");
        assert!(error.contains(said) && error.ends_with("did run"), "{error}");
        assert_eq!(found(&bench), [1, 128, what], "nothing is written back");
    }
}
