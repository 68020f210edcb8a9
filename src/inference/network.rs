//! A network as ONNX Runtime has loaded it.

use std::ffi::{CStr, CString};
use std::ptr;

use ort::memory::Allocator;
use ort::session::Session as OrtSession;
use ort::value::Tensor;
use ort::{AsPointer, ortsys};

use crate::onnx::build::{LOGITS, PROBABILITIES};

/// What a network can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Probabilities,
    /// The numbers before the softmax.
    Logits,
}

impl Output {
    fn name(self) -> &'static str {
        match self {
            Output::Probabilities => PROBABILITIES,
            Output::Logits => LOGITS,
        }
    }
}

/// A loaded network and the names of its ends.
pub struct Network {
    session: OrtSession,
    input: CString,
    /// The pictures that each run has; `None` runs any number.
    pub size: Option<usize>,
}

impl Network {
    /// `None` where the input's name cannot be one in C.
    pub fn new(session: OrtSession, input: &str, size: Option<usize>) -> Option<Self> {
        Some(Self { session, input: CString::new(input).ok()?, size })
    }

    pub fn session(&self) -> &OrtSession {
        &self.session
    }

    pub fn gives(&self, output: Output) -> bool {
        self.session.outputs().iter().any(|given| given.name() == output.name())
    }

    /// Runs the network on `input`, `[pictures, 3, size, size]`; returns `pictures × classes` numbers.
    ///
    /// Several threads may do so at the same time where the network is OpenVINO's, which has a place for each in its
    /// streams. ONNX Runtime promises that of `Run` on any device, but others were seen to break it: there each thread
    /// has to have a network of its own.
    ///
    /// # Errors
    /// ONNX Runtime's.
    pub fn run(&self, input: &Tensor<f32>, output: Output, shape: [usize; 2]) -> ort::Result<Vec<f32>> {
        let mut numbers = Tensor::<f32>::new(&Allocator::default(), shape)?;
        let name = CString::new(output.name()).map_err(ort::Error::wrap)?;
        let (inputs, mut outputs) = ([input.ptr()], [numbers.ptr_mut()]);
        let session = self.session.inner();
        let names: [&CStr; 2] = [&self.input, &name];
        // SAFETY: the session, the names and the values outlive the call, and there are as many as it is told.
        ortsys![unsafe Run(
            session.ptr().cast_mut(),
            ptr::null(),
            [names[0].as_ptr()].as_ptr(),
            inputs.as_ptr(),
            inputs.len(),
            [names[1].as_ptr()].as_ptr(),
            outputs.len(),
            outputs.as_mut_ptr()
        )?];
        Ok(numbers.try_extract_tensor::<f32>()?.1.to_vec())
    }
}
