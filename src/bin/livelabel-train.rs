//! The trainer's command line, nothing else.

fn main() {
    println!("{:?}", tch::Tensor::from_slice(&[1.0f32]).sum(tch::Kind::Float));
}
