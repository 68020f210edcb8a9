//! In which sizes pictures are run where every size has to be made ready before: some engines compile a network for one
//! batch size, and others tune themselves anew for each.

/// The sizes that a session is ready for, the smallest first; empty where any size will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    ready: Vec<usize>,
    /// Whether a batch costs about the same however many of its places are used.
    flat: bool,
}

/// A run of the network: `count` pictures in a batch of `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubBatch {
    pub count: usize,
    pub size: usize,
}

impl BatchPlan {
    pub fn any() -> Self {
        Self { ready: Vec::new(), flat: false }
    }

    /// For a CPU, where a place that is left empty costs as much as a picture: single ones, and full batches.
    pub fn of_cpu(batch: usize, singles: bool) -> Self {
        let ready = if singles && batch > 1 { vec![1, batch] } else { vec![batch] };
        Self { ready, flat: false }
    }

    /// For a file that leaves no choice.
    pub fn fixed(batch: usize) -> Self {
        Self { ready: vec![batch], flat: false }
    }

    /// For a GPU, which does a batch in little more than the time of one: 1, and each fourfold up to `batch`.
    pub fn of_gpu(batch: usize) -> Self {
        let mut ready: Vec<usize> =
            std::iter::successors(Some(1), |size| Some(4 * size)).take_while(|&s| s < batch).collect();
        ready.push(batch);
        Self { ready, flat: true }
    }

    pub fn ready(&self) -> &[usize] {
        &self.ready
    }

    /// How `count` pictures, at most the largest size, are run.
    pub fn pieces(&self, count: usize) -> Vec<SubBatch> {
        let mut pieces = Vec::new();
        let mut left = count;
        while left > 0 {
            let piece = self.next(left);
            left -= piece.count;
            pieces.push(piece);
        }
        pieces
    }

    fn next(&self, left: usize) -> SubBatch {
        let above = self.ready.iter().copied().find(|&size| size >= left);
        let below = self.ready.iter().copied().rev().find(|&size| size <= left);
        match (above, below) {
            (None, None) => SubBatch { count: left, size: left },
            // A batch that is filled by more than half is faster than its pictures one by one.
            (Some(size), Some(_)) if self.flat || 2 * left > size => SubBatch { count: left, size },
            (_, Some(size)) => SubBatch { count: size, size },
            (Some(size), None) => SubBatch { count: left, size },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(sizes: &BatchPlan, count: usize) -> Vec<(usize, usize)> {
        sizes.pieces(count).into_iter().map(|piece| (piece.count, piece.size)).collect()
    }

    #[test]
    fn a_cpu_runs_few_pictures_one_by_one_and_many_in_a_batch() {
        let sizes = BatchPlan::of_cpu(8, true);
        assert_eq!(pieces(&sizes, 1), [(1, 1)]);
        assert_eq!(pieces(&sizes, 3), [(1, 1); 3]);
        assert_eq!(pieces(&sizes, 5), [(5, 8)]);
        assert_eq!(pieces(&sizes, 8), [(8, 8)]);
        assert_eq!(pieces(&BatchPlan::of_cpu(8, false), 3), [(3, 8)]);
        assert_eq!(pieces(&BatchPlan::of_cpu(1, true), 1), [(1, 1)]);
    }

    #[test]
    fn a_gpu_fills_up_the_next_size() {
        let sizes = BatchPlan::of_gpu(64);
        assert_eq!(sizes.ready(), [1, 4, 16, 64]);
        assert_eq!(pieces(&sizes, 1), [(1, 1)]);
        assert_eq!(pieces(&sizes, 5), [(5, 16)]);
        assert_eq!(pieces(&sizes, 64), [(64, 64)]);
    }

    #[test]
    fn every_picture_is_run_once_in_a_size_that_is_ready() {
        for sizes in [BatchPlan::any(), BatchPlan::of_cpu(6, true), BatchPlan::of_cpu(6, false), BatchPlan::of_gpu(6)] {
            for count in 1..=6 {
                let pieces = sizes.pieces(count);
                assert_eq!(pieces.iter().map(|piece| piece.count).sum::<usize>(), count);
                for SubBatch { count, size } in pieces {
                    assert!(count <= size && (sizes.ready().is_empty() || sizes.ready().contains(&size)));
                }
            }
        }
    }
}
