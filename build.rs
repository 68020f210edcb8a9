//! Compiles the calls of OpenCV, and adds libtorch's folder to the trainer's rpath, so that it starts without
//! `LD_LIBRARY_PATH`.

use std::path::Path;

/// Where scripts/setup puts OpenCV's headers and static libraries, and links to shared libraries for the linker.
const OPENCV: &str = ".deps/opencv";
const LINK: &str = ".deps/link";
const CALLS: &str = "src/picture/opencv.cpp";

fn main() {
    for path in ["build.rs", CALLS] {
        println!("cargo:rerun-if-changed={path}");
    }
    opencv();
    println!("cargo:rerun-if-env-changed=LIVELABEL_PACKAGE");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        let packaged = std::env::var_os("LIVELABEL_PACKAGE").is_some();
        let folder = if packaged { "$ORIGIN/../lib/livelabel/libtorch/lib" } else { &folder };
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

/// Compiles the calls, and links OpenCV: the static libraries if set-up installed them, otherwise the system's. Debian's shared
/// libraries would bring graphics drivers along.
fn opencv() {
    let root = std::env::current_dir().unwrap_or_default();
    let mut calls = cc::Build::new();
    calls.cpp(true).file(CALLS).std("c++17");
    let own = Path::new(OPENCV).join("libopencv_imgproc.a").exists();
    if own {
        // A path that does not exist would count as changed at every build.
        println!("cargo:rerun-if-changed={OPENCV}");
        calls.include(Path::new(OPENCV).join("include"));
        println!("cargo:rustc-link-search=native={}", root.join(OPENCV).display());
        println!("cargo:rustc-link-search=native={}", root.join(LINK).display());
    } else {
        match pkg_config::Config::new().cargo_metadata(false).probe("opencv4") {
            Ok(found) => {
                calls.includes(found.include_paths);
                found.link_paths.iter().for_each(|path| println!("cargo:rustc-link-search=native={}", path.display()));
            }
            Err(_) => {
                println!(
                    "cargo:warning=OpenCV was not found: run scripts/setup, or install the development files of OpenCV 4"
                );
                std::process::exit(1);
            }
        }
    }
    calls.compile("livelabel_opencv");
    let kind = if own { "static:-bundle=" } else { "" };
    println!("cargo:rustc-link-lib={kind}opencv_imgproc");
    println!("cargo:rustc-link-lib={kind}opencv_core");
    if own {
        println!("cargo:rustc-link-lib=tbb");
    }
}
