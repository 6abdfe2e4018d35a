//! Power cuts: the program under a layer that knows what is durable, killed, and its folder put
//! back to that.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layer, and where the folder under it and its durable image are.
pub struct PowerCut {
    layer: PathBuf,
    pub live: PathBuf,
    image: PathBuf,
}

impl PowerCut {
    /// Builds the layer (gcc is among what the project needs) over an empty folder.
    pub fn new(dir: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/powercut.c");
        let layer = dir.join("powercut.so");
        let built = Command::new("gcc")
            .args([
                "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
            ])
            .arg(&layer)
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let dir = dir.canonicalize().unwrap();
        let this = Self {
            layer,
            live: dir.join("data"),
            image: dir.join("image"),
        };
        fs::create_dir(&this.live).unwrap();
        this.mirror();
        this
    }

    /// Variables under which the program runs on the layer; with `lie` its syncs do nothing.
    pub fn environment(&self, lie: bool) -> Vec<(String, String)> {
        let text = |p: &Path| p.to_str().unwrap().to_owned();
        let mut set = vec![
            ("LD_PRELOAD".to_owned(), text(&self.layer)),
            ("POWERCUT_LIVE".to_owned(), text(&self.live)),
            ("POWERCUT_IMAGE".to_owned(), text(&self.image)),
        ];
        if lie {
            set.push(("POWERCUT_LIE".to_owned(), "1".to_owned()));
        }
        set
    }

    /// What was not durable is lost. The process must be dead.
    pub fn cut(&self) {
        let root = fs::metadata(&self.live).unwrap().ino().to_string();
        let left = self.live.with_extension("left");
        self.restore(&root, &left);
        fs::remove_dir_all(&self.live).unwrap();
        fs::rename(left, &self.live).unwrap();
        self.mirror();
    }

    /// Writes the folder that stands in the image under an inode.
    fn restore(&self, inode: &str, to: &Path) {
        fs::create_dir(to).unwrap();
        let names = self.image.join("dirs").join(inode);
        for entry in fs::read_dir(names).unwrap() {
            let entry = entry.unwrap();
            let name = to.join(entry.file_name());
            if entry.file_type().unwrap().is_symlink() {
                let inode = fs::read_link(entry.path()).unwrap();
                self.restore(inode.to_str().unwrap(), &name);
            } else {
                fs::copy(entry.path(), name).unwrap();
            }
        }
    }

    /// The image of a folder of which everything is durable.
    fn mirror(&self) {
        let _ = fs::remove_dir_all(&self.image);
        for part in ["blobs", "dirs"] {
            fs::create_dir_all(self.image.join(part)).unwrap();
        }
        self.mirror_folder(&self.live);
    }

    fn mirror_folder(&self, from: &Path) {
        let inode = |path: &Path| fs::metadata(path).unwrap().ino().to_string();
        let names = self.image.join("dirs").join(inode(from));
        fs::create_dir(&names).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = names.join(path.file_name().unwrap());
            if path.is_dir() {
                self.mirror_folder(&path);
                std::os::unix::fs::symlink(inode(&path), name).unwrap();
            } else {
                let blob = self.image.join("blobs").join(inode(&path));
                fs::copy(&path, &blob).unwrap();
                fs::hard_link(&blob, name).unwrap();
            }
        }
    }
}
