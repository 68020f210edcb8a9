//! Splits frames into batches of prepared sizes. Some backends compile a model for one batch size, others tune
//! themselves for each.

/// How frames arrive at a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    #[default]
    Batches,
    /// One by one: pictures, and clips with frames held in between.
    Singles,
    Both,
}

/// The batch sizes that a session prepares, in ascending order; empty if the backend runs any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    ready: Vec<usize>,
    /// Whether a partly filled batch takes about as long as a full one.
    flat: bool,
}

/// One run of the model: `count` frames in a batch of `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubBatch {
    pub count: usize,
    pub size: usize,
}

impl BatchPlan {
    /// For a backend that runs any size.
    pub fn any() -> Self {
        Self { ready: Vec::new(), flat: false }
    }

    /// For a CPU, where an empty place costs as much as a frame: full batches, and single frames if such arrive.
    pub fn of_cpu(batch: usize, arrival: Arrival) -> Self {
        let ready = if arrival != Arrival::Batches && batch > 1 { vec![1, batch] } else { vec![batch] };
        Self { ready, flat: false }
    }

    /// For a model with a fixed batch size.
    pub fn fixed(batch: usize) -> Self {
        Self { ready: vec![batch], flat: false }
    }

    /// For a GPU, where a batch takes little longer than one frame: 1, 4, 16 and so on below `batch`, and `batch`.
    pub fn of_gpu(batch: usize) -> Self {
        let mut ready: Vec<usize> =
            std::iter::successors(Some(1), |size| Some(4 * size)).take_while(|&s| s < batch).collect();
        ready.push(batch);
        Self { ready, flat: true }
    }

    pub fn ready(&self) -> &[usize] {
        &self.ready
    }

    /// Splits `count` frames into runs.
    pub fn sub_batches(&self, count: usize) -> Vec<SubBatch> {
        let mut sub_batches = Vec::new();
        let mut remaining = count;
        while remaining > 0 {
            let sub_batch = self.next(remaining);
            remaining -= sub_batch.count;
            sub_batches.push(sub_batch);
        }
        sub_batches
    }

    fn next(&self, remaining: usize) -> SubBatch {
        let above = self.ready.iter().copied().find(|&size| size >= remaining);
        let below = self.ready.iter().copied().rev().find(|&size| size <= remaining);
        match (above, below) {
            (None, None) => SubBatch { count: remaining, size: remaining },
            // A batch that is more than half full is faster than its frames one by one.
            (Some(size), Some(_)) if self.flat || 2 * remaining > size => SubBatch { count: remaining, size },
            (_, Some(size)) => SubBatch { count: size, size },
            (Some(size), None) => SubBatch { count: remaining, size },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub_batches(sizes: &BatchPlan, count: usize) -> Vec<(usize, usize)> {
        sizes.sub_batches(count).into_iter().map(|sub_batch| (sub_batch.count, sub_batch.size)).collect()
    }

    #[test]
    fn a_cpu_runs_few_frames_one_by_one_and_many_in_a_batch() {
        let sizes = BatchPlan::of_cpu(8, Arrival::Both);
        assert_eq!(sub_batches(&sizes, 1), [(1, 1)]);
        assert_eq!(sub_batches(&sizes, 3), [(1, 1); 3]);
        assert_eq!(sub_batches(&sizes, 5), [(5, 8)]);
        assert_eq!(sub_batches(&sizes, 8), [(8, 8)]);
        assert_eq!(sub_batches(&BatchPlan::of_cpu(8, Arrival::Batches), 3), [(3, 8)]);
        assert_eq!(sub_batches(&BatchPlan::of_cpu(1, Arrival::Singles), 1), [(1, 1)]);
    }

    #[test]
    fn a_gpu_uses_the_next_larger_size() {
        let sizes = BatchPlan::of_gpu(64);
        assert_eq!(sizes.ready(), [1, 4, 16, 64]);
        assert_eq!(sub_batches(&sizes, 1), [(1, 1)]);
        assert_eq!(sub_batches(&sizes, 5), [(5, 16)]);
        assert_eq!(sub_batches(&sizes, 64), [(64, 64)]);
    }

    #[test]
    fn every_frame_runs_once_in_a_prepared_size() {
        let [both, batches] = [Arrival::Both, Arrival::Batches].map(|arrival| BatchPlan::of_cpu(6, arrival));
        for sizes in [BatchPlan::any(), both, batches, BatchPlan::of_gpu(6)] {
            for count in 1..=6 {
                let sub_batches = sizes.sub_batches(count);
                assert_eq!(sub_batches.iter().map(|sub_batch| sub_batch.count).sum::<usize>(), count);
                for SubBatch { count, size } in sub_batches {
                    assert!(count <= size && (sizes.ready().is_empty() || sizes.ready().contains(&size)));
                }
            }
        }
    }
}
