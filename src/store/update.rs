//! Reading, deciding, and writing under the version that was read; again when somebody else was faster.

use serde::de::DeserializeOwned;

use super::{Document, Draft, Error, Key, Store, Write};

/// How often a change is tried anew when others change the same document meanwhile.
pub const TRIES: usize = 32;

/// Changes one document by what it says. `decide` gets the document, when there is one, and gives an answer and what
/// to write, when it changes; it is asked again whenever somebody else was faster.
///
/// # Errors
/// As the store's; [`Error::Conflict`] when others kept changing the document.
pub async fn update<T: DeserializeOwned, A>(
    store: &dyn Store,
    key: &Key,
    decide: impl Fn(Option<T>) -> Result<(A, Option<Draft>), Error>,
) -> Result<A, Error> {
    for _ in 0..TRIES {
        let found = store.get(key).await?;
        let (answer, draft) = decide(found.as_ref().map(Document::read).transpose()?)?;
        let Some(draft) = draft else { return Ok(answer) };
        let write = match found {
            Some(document) => Write::Replace(key.clone(), draft, document.etag),
            None => Write::Create(key.clone(), draft),
        };
        match store.write(write).await {
            Ok(_) => return Ok(answer),
            Err(Error::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict)
}
