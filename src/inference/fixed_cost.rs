//! A network of which each picture takes a fixed time and no computing, for measurements of what is around it.

use std::time::Duration;

use ndarray::ArrayView3;

use crate::error::Result;
use crate::inference::backend::Backend;
use crate::inference::output::Output;
use crate::inference::watchdog::Watchdog;

pub struct FixedCost {
    /// Time for a picture.
    pub cost: Duration,
    /// Values of the output, of which the first is 1 and the others are 0.
    pub width: usize,
}

impl Backend for FixedCost {
    fn size(&self) -> Option<usize> {
        None
    }

    fn has(&self, _: Output) -> bool {
        true
    }

    fn put(&mut self, _: &[ArrayView3<f32>], _: usize) -> Result<()> {
        Ok(())
    }

    fn run(&mut self, count: usize, _: Output, rows: &mut Vec<f32>, _: &Watchdog) -> Result<()> {
        std::thread::sleep(self.cost * count as u32);
        for _ in 0..count {
            rows.extend((0..self.width).map(|column| f32::from(u8::from(column == 0))));
        }
        Ok(())
    }

    fn sibling(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(None)
    }
}
