//! Entries that are made when closures of their type are called often.
use crate::library::{Guest, builder, text};
use portcullis::host::Tier;
use wasmtime::Engine;

const SUM: &str = r#"
    (global $sum (export "sum") (mut i32) (i32.const 0))
    (func $f (param $a i32) (param $b i32) (result i32)
        (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
        (i32.sub (i32.gt_s (i32.load (local.get $a)) (i32.load (local.get $b)))
                 (i32.lt_s (i32.load (local.get $a)) (i32.load (local.get $b)))))
    (func (export "go") (param $n i32)
        (call $qsort (i32.const 1024) (local.get $n) (i32.const 4) (i32.const 1)))"#;

/// Closures change their entry while native code calls them, and no call is lost or made twice.
#[test]
fn closures_become_hot_while_they_are_called() {
    let builder = builder(&Engine::default()).max_tier(Tier::Direct).when_hot(100);
    let bridge = builder.build().expect("it can be built");
    let guest = text(&[("qsort", "(param i32 i32 i32 i32)")], "$f", SUM);
    let mut guest = Guest::new(&bridge, &guest);
    let numbers: Vec<i32> = (0..1000).map(|n| (n * 7919) % 1009).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut calls = Vec::new();
    for _ in 0..50 {
        guest.write(1024, &bytes);
        let before = count(&mut guest);
        guest.run::<_, ()>("go", 1000);
        calls.push(count(&mut guest) - before);
        let sorted = guest.read(1024, 4000);
        let sorted: Vec<i32> = sorted
            .chunks_exact(4)
            .map(|n| i32::from_le_bytes(n.try_into().expect("four")))
            .collect();
        assert!(sorted.is_sorted());
    }
    assert!(calls[0] > 1000 && calls.iter().all(|n| *n == calls[0]), "{calls:?}");
}

fn count(guest: &mut Guest) -> i32 {
    let sum = guest.instance.get_global(&mut guest.store, "sum").expect("it is exported");
    sum.get(&mut guest.store).unwrap_i32()
}
