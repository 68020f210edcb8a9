//! Work that would block the server's thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::web::state::ApiError;

/// How long work waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does work on a thread of its own when one of `permits` is free. Answers `busy` if none becomes free in time, and `failed` if the
/// work panics.
pub(super) async fn run<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    busy: ApiError,
    failed: ApiError,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let waiting = timeout(PATIENCE, Arc::clone(permits).acquire_owned());
    let permit = waiting.await.map_err(|_| busy)?.map_err(|_| busy)?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|_| failed)
}
