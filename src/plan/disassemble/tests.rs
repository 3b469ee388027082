//! Plans as text.
use super::*;
use crate::plan::layout::DataModel;
use crate::plan::verify::tests::corpus::{For, plans};

#[test]
fn a_plan_reads_as_the_documentation_says() {
    let crc = "unsigned long crc32(unsigned long crc, \
                   const uint8_t *__counted_by(len) buf, unsigned len)";
    let one = For { model: DataModel::Ilp32, abi: Abi::SysvX86_64, leaf: true };
    let expected = "\
unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned int len)
import  (func (param i32 i32 i32) (result i32))
frame   320 bytes
facts   leaf, memory

before
   0  ulong32   slot 0 -> rdi                               ; crc
   1  int32     slot 2 -> rdx                               ; len
   2  buffer    slot 1 -> rsi, u32 rdx x 1 byte, NULL if empty  ; buf
call
   3  call      integer registers; result uint64 that fits u32
";
    assert_eq!(disassemble(&one.plan(crc), one.abi), expected);
}

#[test]
fn every_position_and_table_has_a_name() {
    for (prototype, plan, abi) in plans() {
        let text = disassemble(&plan, abi);
        for nameless in ["frame+", "Integer(", "Vector(", "At(", "?,", "Some"] {
            assert!(!text.contains(nameless), "{prototype}: {nameless} in\n{text}");
        }
        for (index, op) in plan.ops.iter().enumerate() {
            let start = format!("{index:>4}  {}", mnemonic(op));
            assert!(text.lines().any(|line| line.starts_with(&start)), "{start} in\n{text}");
        }
    }
}
