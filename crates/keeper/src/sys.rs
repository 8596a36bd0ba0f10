//! The one place that may be `unsafe`: what neither `std` nor `rustix` offers of processes and signals.
#![expect(
    unsafe_code,
    reason = "clone, signal masks and descriptors by number; every block says why it is sound"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_char, c_int, c_long, c_ulong};

/// Everything that a child needs between its birth and `execve`: made before it, since it may not allocate.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) argv: &'a [*const c_char],
    pub(crate) envp: &'a [*const c_char],
    pub(crate) dir: &'a CStr,
    pub(crate) stdio: [RawFd; 3],
    /// The child gets only the descriptors below this number, which must be all that it needs; absent: a copy of all. Needs
    /// [`can_take_few`].
    pub(crate) few: Option<u32>,
    pub(crate) limits: &'a [(c_int, u64, u64)],
    pub(crate) user: Option<User<'a>>,
    pub(crate) parent: i32,
    /// Where the child says that it is born: a descriptor and the text.
    pub(crate) birth: Option<(RawFd, &'a [u8])>,
}

/// Whom a child becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'a> {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: &'a [u32],
}

/// The step at which a child failed before it became its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Clone,
    Session,
    Stdio,
    Limit,
    User,
    Directory,
    Orphaned,
    Exec,
}

const STEPS: [Step; 8] = [
    Step::Clone,
    Step::Session,
    Step::Stdio,
    Step::Limit,
    Step::User,
    Step::Directory,
    Step::Orphaned,
    Step::Exec,
];

/// A child that runs its program.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// What a child shares with its parent until it runs its program.
#[repr(C)]
struct Birth<'a> {
    plan: &'a Plan<'a>,
    mask: u64,
    step: u32,
    errno: c_int,
}

/// The stack that children borrow until `execve`; one at a time, since the parent waits for that moment.
#[derive(Debug)]
pub(crate) struct Stack(Box<[u8]>);

impl Stack {
    pub(crate) fn new() -> Self {
        Self(vec![0; 32 * 1024].into_boxed_slice())
    }

    fn top(&mut self) -> *mut u8 {
        let end = self.0.as_mut_ptr_range().end;
        // The ABI wants 16 bytes of alignment at the call.
        end.wrapping_sub(end as usize & 15)
    }
}

/// Runs `plan` as a new child, in the cgroup behind `cgroup` if there is one, and returns once it runs its program.
///
/// The child shares the memory of the caller, which waits meanwhile (as in `vfork`): nothing is copied, and a failure
/// before the program is simply written where the caller reads it.
///
/// # Errors
///
/// The step that failed and why. No process is left.
pub(crate) fn spawn(
    plan: &Plan<'_>,
    cgroup: Option<BorrowedFd<'_>>,
    stack: &mut Stack,
) -> Result<Child, (Step, io::Error)> {
    let mut birth = Birth {
        plan,
        mask: 0,
        step: 0,
        errno: 0,
    };
    let mut pidfd: c_int = -1;
    let pid = match cgroup {
        Some(cgroup) => clone3(&mut birth, &mut pidfd, Some(cgroup), stack),
        // Sandboxes that cannot look into the arguments of clone3 refuse it as a whole; plain clone does all else.
        None => clone(&mut birth, &mut pidfd, stack),
    };
    if pid < 0 {
        return Err((Step::Clone, io::Error::from_raw_os_error(-pid)));
    }
    if birth.step != 0 {
        // SAFETY: `pidfd` was made by the clone and is nobody else's.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        reap(&pidfd);
        let step = STEPS.get(birth.step as usize).copied().unwrap_or(Step::Clone);
        return Err((step, io::Error::from_raw_os_error(birth.errno)));
    }
    // SAFETY: as above.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

const FLAGS: u64 = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
const SHARED_FILES: u64 = libc::CLONE_FILES as u64;

impl Plan<'_> {
    const fn flags(&self) -> u64 {
        match self.few {
            Some(_) => FLAGS | SHARED_FILES,
            None => FLAGS,
        }
    }
}
const INTO_CGROUP: u64 = 0x2_0000_0000;

fn clone3(birth: &mut Birth<'_>, pidfd: &mut c_int, cgroup: Option<BorrowedFd<'_>>, stack: &mut Stack) -> i32 {
    #[repr(C)]
    struct Args {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    let top = stack.top() as u64;
    let size = 16 * 1024;
    let args = Args {
        flags: birth.plan.flags() | if cgroup.is_some() { INTO_CGROUP } else { 0 },
        pidfd: ptr::from_mut(pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        stack: top - size,
        stack_size: size,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    let args = ptr::from_ref(&args) as usize;
    enter(libc::SYS_clone3, [args, size_of::<Args>(), 0], birth)
}

fn clone(birth: &mut Birth<'_>, pidfd: &mut c_int, stack: &mut Stack) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "the flags of clone are 32 bits")]
    let flags = birth.plan.flags() as usize | libc::SIGCHLD.unsigned_abs() as usize;
    let pidfd = ptr::from_mut(pidfd) as usize;
    enter(libc::SYS_clone, [flags, stack.top() as usize, pidfd], birth)
}

/// Makes the system call; the child starts in [`child`] on its own stack and never returns here.
#[cfg(target_arch = "x86_64")]
fn enter(number: c_long, args: [usize; 3], birth: &mut Birth<'_>) -> i32 {
    let result: c_long;
    // SAFETY: the child runs on a stack of its own and enters a function that never returns, so this frame is used by
    // the parent alone. The parent is suspended until the child has left this memory (CLONE_VFORK), so `birth`, the
    // plan and the stack outlive the child's use of them. All signals are blocked (the keeper's mask), so no handler
    // runs in the child on shared memory. Both calls take their arguments in these registers and clobber rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") 0_usize,
            in("r8") 0_usize,
            in("r12") child as extern "C" fn(*mut Birth<'static>) -> !,
            in("r13") ptr::from_mut(birth),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    i32::try_from(result).unwrap_or(-libc::EINVAL)
}

/// The same for the other machine that Linux agents commonly run on.
#[cfg(target_arch = "aarch64")]
fn enter(number: c_long, args: [usize; 3], birth: &mut Birth<'_>) -> i32 {
    let result: c_long;
    // SAFETY: as above; the kernel takes the number in x8, the arguments from x0 on, and keeps all other registers.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") args[0] => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") 0_usize,
            in("x4") 0_usize,
            in("x20") child as extern "C" fn(*mut Birth<'static>) -> !,
            in("x21") ptr::from_mut(birth),
        );
    }
    i32::try_from(result).unwrap_or(-libc::EINVAL)
}

/// What the child does until it is its program. Only system calls: no allocation, no locks, no panics.
extern "C" fn child(birth: *mut Birth<'static>) -> ! {
    // SAFETY: `spawn` passes a live `Birth` that the suspended parent does not touch.
    let birth = unsafe { &mut *birth };
    let step = become_program(birth);
    // SAFETY: reading errno and leaving are allowed here; `_exit` runs no handlers of the parent.
    unsafe {
        birth.errno = *libc::__errno_location();
        birth.step = step as u32;
        libc::_exit(127)
    }
}

/// Does the steps in order; returns the one that failed, with errno set.
fn become_program(birth: &Birth<'_>) -> Step {
    let plan = birth.plan;
    // SAFETY: plain system calls on descriptors, C strings and arrays that the plan borrows; raw ones where glibc's
    // wrappers would tell other threads or keep books of their own.
    unsafe {
        // Before anything that the parent would feel: until here both have the same table of descriptors.
        if let Some(few) = plan.few
            && libc::syscall(libc::SYS_close_range, few, u32::MAX, libc::CLOSE_RANGE_UNSHARE) < 0
        {
            return Step::Stdio;
        }
        if libc::setsid() < 0 {
            return Step::Session;
        }
        for (target, source) in (0..).zip(plan.stdio) {
            if libc::dup2(source, target) < 0 {
                return Step::Stdio;
            }
        }
        for (resource, soft, hard) in plan.limits {
            let limit = libc::rlimit {
                rlim_cur: *soft,
                rlim_max: *hard,
            };
            let none = ptr::null_mut::<libc::rlimit>();
            if libc::syscall(libc::SYS_prlimit64, 0, *resource, &raw const limit, none) < 0 {
                return Step::Limit;
            }
        }
        if let Some(user) = plan.user {
            let (uid, gid) = (c_ulong::from(user.uid), c_ulong::from(user.gid));
            if libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) < 0
                || libc::syscall(libc::SYS_setresgid, gid, gid, gid) < 0
                || libc::syscall(libc::SYS_setresuid, uid, uid, uid) < 0
            {
                return Step::User;
            }
        }
        if libc::chdir(plan.dir.as_ptr()) < 0 {
            return Step::Directory;
        }
        if libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const birth.mask, 0, 8) < 0 {
            return Step::Session;
        }
        // A keeper that died meanwhile has a successor that looks for this process: better none than one unseen.
        if libc::getppid() != plan.parent {
            return Step::Orphaned;
        }
        if let Some((fd, text)) = plan.birth {
            // A disk that is full keeps nobody from being born.
            libc::write(fd, text.as_ptr().cast(), text.len());
        }
        libc::execve(plan.program.as_ptr(), plan.argv.as_ptr(), plan.envp.as_ptr());
    }
    Step::Exec
}

fn reap(pidfd: &OwnedFd) {
    let id = rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(pidfd));
    // It has left already; nothing can be done about an error.
    let _gone = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED);
}

/// Blocks every signal, gives all their default meaning, and returns a descriptor from which some are read.
///
/// Children then need to reset nothing but the mask.
pub(crate) fn take_signals(wanted: &[c_int]) -> io::Result<OwnedFd> {
    block_signals()?;
    // SAFETY: sets are initialised before use; changing dispositions to the default installs no code.
    unsafe {
        for signal in 1..=64 {
            // SEGV and BUS keep the runtime's handlers, which tell of an overflowing stack; exec resets them.
            if !matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGKILL | libc::SIGSTOP) {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in wanted {
            libc::sigaddset(&raw mut set, *signal);
        }
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Blocks every signal.
pub(crate) fn block_signals() -> io::Result<()> {
    // SAFETY: the set is initialised before use.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Reads the number of one signal that came, if one did.
pub(crate) fn next_signal(signals: &OwnedFd) -> Option<u32> {
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(signals, &mut info) {
        Ok(read) if read == info.len() => info.first_chunk().map(|number| u32::from_ne_bytes(*number)),
        Ok(_) | Err(_) => None,
    }
}

/// The pid of a child that has ended and was not reaped, if there is one. It stays so.
pub(crate) fn ended_child() -> Option<i32> {
    // SAFETY: a zeroed siginfo is valid, and `waitid` leaves it so where no child has ended.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let result = libc::waitid(libc::P_ALL, 0, &raw mut info, options);
        (result == 0 && info.si_pid() != 0).then(|| info.si_pid())
    }
}

/// How a process that was another's child ended, where the kernel (Linux 6.15) can tell it of a descriptor.
///
/// The value is a wait status. Nothing until its parent has reaped it.
pub(crate) fn exit_info(pidfd: BorrowedFd<'_>) -> Option<c_int> {
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const EXIT: u64 = 1 << 3;
    // _IOWR(0xFF, 11, struct pidfd_info) of its first published size.
    const GET_INFO: c_ulong = (3 << 30) | (64 << 16) | (0xFF << 8) | 11;
    let mut info = Info {
        mask: EXIT,
        ..Info::default()
    };
    // SAFETY: the structure is as large as the request's number says and outlives the call.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO, &raw mut info) };
    (result == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}

/// Goes on as a child of its own; the parent gets that child's pid.
///
/// Sound only while the process has one thread, which the caller promises.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: with one thread no lock can be held by another that the child lacks.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        pid if pid > 0 => Ok(Some(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes standard input, output or error (`target` 0 to 2) a copy of `fd`.
pub(crate) fn redirect(fd: &std::fs::File, target: RawFd) -> io::Result<()> {
    // SAFETY: the three standard descriptors are owned by nobody who would close them.
    if unsafe { libc::dup2(fd.as_raw_fd(), target.clamp(0, 2)) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Keeps every descriptor that was inherited from being inherited by agents.
pub(crate) fn keep_descriptors() {
    const CLOEXEC: c_ulong = 1 << 2;
    // SAFETY: only the close-on-exec flag of open descriptors is set. Kernels without this call (before 5.11) leave them.
    unsafe { libc::syscall(libc::SYS_close_range, 3 as c_ulong, c_ulong::from(u32::MAX), CLOEXEC) };
}

/// Whether a child can begin with a few descriptors instead of a copy of all (Linux 5.9).
pub(crate) fn can_take_few() -> bool {
    // SAFETY: no descriptor has this number, so nothing is closed; only the call itself may be unknown.
    unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) == 0 }
}

/// Takes over a descriptor that the keeper before the upgrade left open.
///
/// # Errors
///
/// No such descriptor is open.
pub(crate) fn inherit(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD on any number is harmless; it says whether the number is open.
    if fd < 3 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number was written down by this program before its execve and is taken over once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
