//! A small file system that can be filled. Mounting it needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

pub const MIB: u64 = 1 << 20;

/// A file system of its own, unmounted with this value.
pub struct Disk(pub PathBuf);

impl Disk {
    /// Of `size` bytes, at a folder that it makes.
    pub fn mount(at: &Path, size: u64) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}")])
            .arg("waywarden-test")
            .arg(at)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success(),
            "a full disk is tested where a small one may be mounted only, as root and in a container \
             with the capability SYS_ADMIN: {said}"
        );
        Self(at.to_owned())
    }

    pub fn free(&self) -> u64 {
        waywarden_gateway::free_space_of(&self.0)().unwrap()
    }

    /// Leaves so much free; gives the file that takes the rest.
    pub fn fill(&self, free: u64) -> PathBuf {
        let filler = self.0.join("filler");
        std::fs::write(&filler, []).unwrap();
        let bytes = usize::try_from(self.free() - free).unwrap();
        std::fs::write(&filler, vec![0xA5; bytes]).unwrap();
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
