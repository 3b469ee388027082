//! Calls libm and zlib by prototype, with no SDK: the name of each import is the C declaration.
const std = @import("std");
const wasi = std.os.wasi;

extern "libm.so.6" fn @"double cos(double x)"(f64) f64;
extern "libz.so.1" fn @"unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned len)"(c_ulong, [*]const u8, u32) c_ulong;

const cos = @"double cos(double x)";
const crc32 = @"unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned len)";

fn print(comptime format: []const u8, arguments: anytype) void {
    var buffer: [256]u8 = undefined;
    const text = std.fmt.bufPrint(&buffer, format, arguments) catch unreachable;
    const pieces = [_]wasi.ciovec_t{.{ .base = text.ptr, .len = text.len }};
    var written: usize = undefined;
    _ = wasi.fd_write(1, &pieces, pieces.len, &written);
}

pub fn main() void {
    print("cos(0.5) = {d}\n", .{cos(0.5)});

    const text = "The quick brown fox jumps over the lazy dog";
    print("crc32 of {d} bytes = {x:0>8}\n", .{ text.len, crc32(0, text, text.len) });
}
