//! The agent that every supervisor runs: static, without libc, so that its first instruction follows the kernel's exec at
//! once and the figures show the supervisor rather than the dynamic linker.
//!
//! Its first act is to read the monotonic clock. It then writes one record of 16 bytes (nanoseconds, pid, id) to a FIFO,
//! which is atomic, and sleeps until it is killed. `agent FIFO ID` says where and who; without arguments it takes the FIFO
//! from `./report` and its id from `./id`, for supervisors whose services are a directory with a program `run`.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::ffi::c_char;

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "b {main}", main = sym main);

#[cfg(target_arch = "x86_64")]
mod call {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const GETPID: usize = 39;
    pub const EXIT: usize = 60;
    pub const CLOCK_GETTIME: usize = 228;
    pub const OPENAT: usize = 257;
    pub const PPOLL: usize = 271;
}
#[cfg(target_arch = "aarch64")]
mod call {
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const GETPID: usize = 172;
    pub const EXIT: usize = 93;
    pub const CLOCK_GETTIME: usize = 113;
    pub const OPENAT: usize = 56;
    pub const PPOLL: usize = 73;
}

const CLOCK_MONOTONIC: usize = 1;
const AT_FDCWD: usize = -100_isize as usize;
const READ_ONLY: usize = 0;
const WRITE_ONLY: usize = 1;
const NOTIFICATION: usize = 3;

/// What the harness reads; native byte order.
#[repr(C)]
struct Report {
    at: u64,
    pid: u32,
    id: u32,
}

extern "C" fn main(stack: *const usize) -> ! {
    let mut time = [0_u64; 2];
    syscall(
        call::CLOCK_GETTIME,
        [CLOCK_MONOTONIC, time.as_mut_ptr() as usize, 0, 0, 0],
    );

    // SAFETY: the kernel puts argc and then argc pointers there.
    let arguments = unsafe { (*stack >= 3).then(|| (*stack.add(2), *stack.add(3) as *const u8)) };
    let (fifo, id) = match arguments {
        // SAFETY: arguments end with a zero.
        Some((fifo, id)) => (fifo, unsafe { number(id) }),
        None => (c"report".as_ptr() as usize, id_of_directory()),
    };
    let pid = syscall(call::GETPID, [0; 5]) as u32;
    let report = Report {
        at: time[0] * 1_000_000_000 + time[1],
        pid,
        id,
    };
    let fd = syscall(call::OPENAT, [AT_FDCWD, fifo, WRITE_ONLY, 0, 0]);
    let size = size_of::<Report>();
    if fd < 0 || syscall(call::WRITE, [fd as usize, &raw const report as usize, size, 0, 0]) != size as isize {
        exit(1);
    }
    if arguments.is_none() {
        // Readiness, for a supervisor that hands in a descriptor 3 for it. Without one that is the id's file, open for
        // reading alone, and the write is only refused.
        syscall(call::WRITE, [NOTIFICATION, c"\n".as_ptr() as usize, 1, 0, 0]);
    }
    loop {
        syscall(call::PPOLL, [0; 5]);
    }
}

fn id_of_directory() -> u32 {
    let path: *const c_char = c"id".as_ptr();
    let fd = syscall(call::OPENAT, [AT_FDCWD, path as usize, READ_ONLY, 0, 0]);
    let mut text = [0_u8; 16];
    if fd < 0
        || syscall(
            call::READ,
            [fd as usize, text.as_mut_ptr() as usize, text.len() - 1, 0, 0],
        ) <= 0
    {
        exit(2);
    }
    // SAFETY: the last byte was left 0.
    unsafe { number(text.as_ptr()) }
}

/// The decimal number that a string begins with.
///
/// # Safety
/// `text` points to bytes that end with one that is no digit.
unsafe fn number(mut text: *const u8) -> u32 {
    let mut value = 0_u32;
    // SAFETY: as the caller promises.
    while let digit @ b'0'..=b'9' = unsafe { *text } {
        value = value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
        text = text.wrapping_add(1);
    }
    value
}

fn exit(code: usize) -> ! {
    loop {
        syscall(call::EXIT, [code, 0, 0, 0, 0]);
    }
}

fn syscall(number: usize, args: [usize; 5]) -> isize {
    let answer: isize;
    // SAFETY: the kernel's calling convention; every pointer handed in lives across the call.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") args[0] as isize => answer, in("x1") args[1], in("x2") args[2],
            in("x3") args[3], in("x4") args[4], options(nostack));
    }
    answer
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(3)
}
