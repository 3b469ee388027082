//! Calls libm and zlib by prototype, with no SDK: the name of each import is the C declaration.
//!
//! Two things show how a buffer is checked: `len` in the second prototype is what bounds `buf`, and
//! `*destLen` in the third is how many bytes zlib may write.
use std::os::raw::c_ulong;

#[link(wasm_import_module = "libm.so.6")]
extern "C" {
    #[link_name = "double cos(double x)"]
    fn cos(x: f64) -> f64;
}

#[link(wasm_import_module = "libz.so.1")]
extern "C" {
    #[link_name = "unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned len)"]
    fn crc32(crc: c_ulong, buf: *const u8, len: u32) -> c_ulong;

    #[link_name = "int compress(uint8_t *_Out_ __counted_by(*destLen) dest, unsigned long *_Inout_ destLen, const uint8_t *__counted_by(sourceLen) source, unsigned long sourceLen)"]
    fn compress(dest: *mut u8, dest_len: *mut c_ulong, source: *const u8, source_len: c_ulong) -> i32;

    // Annotations may be left out: the grant has them.
    #[link_name = "int uncompress(uint8_t *, unsigned long *, const uint8_t *, unsigned long)"]
    fn uncompress(dest: *mut u8, dest_len: *mut c_ulong, source: *const u8, source_len: c_ulong) -> i32;
}

fn main() {
    // SAFETY: scalars in, a scalar out.
    let cosine = unsafe { cos(0.5) };
    println!("cos(0.5) = {cosine}");

    let text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    let bytes = text.as_bytes();
    // SAFETY: the buffer is as long as the length that goes with it.
    let crc = unsafe { crc32(0, bytes.as_ptr(), bytes.len() as u32) };
    println!("crc32 of {} bytes = {crc:08x}", bytes.len());

    let mut packed = vec![0; bytes.len() + 64];
    let mut packed_len = packed.len() as c_ulong;
    // SAFETY: zlib writes at most `packed_len` bytes and sets it to what it wrote.
    let code = unsafe {
        compress(packed.as_mut_ptr(), &mut packed_len, bytes.as_ptr(), bytes.len() as c_ulong)
    };
    assert_eq!(code, 0, "compress");

    let mut again = vec![0; bytes.len()];
    let mut again_len = again.len() as c_ulong;
    // SAFETY: as above.
    let code = unsafe {
        uncompress(again.as_mut_ptr(), &mut again_len, packed.as_ptr(), packed_len)
    };
    assert_eq!(code, 0, "uncompress");
    assert_eq!(again, bytes);
    println!("compressed to less than a tenth: {}", packed_len * 10 < again_len);
}
