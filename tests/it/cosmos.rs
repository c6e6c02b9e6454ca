//! What is particular to the store on Cosmos DB. The contract that every store keeps is in `store_contract.rs`.

use std::sync::Arc;

use azure_core::credentials::Secret;
use azure_data_cosmos::CosmosRuntimeBuilder;
use azure_data_cosmos_driver::in_memory_emulator::InMemoryEmulatorHttpClient;
use herald::clock::SystemClock;
use herald::store::Store;
use herald::store::cosmos::{Account, CosmosStore, Proof, create};

use crate::cosmos_emulator::{KEY, account};

/// Herald's account at an emulator in this process.
pub struct InProcess {
    pub emulator: Arc<InMemoryEmulatorHttpClient>,
    pub account: Account,
}

const REGION: &str = "https://westeurope.emulator.local/";

impl InProcess {
    pub fn new() -> Self {
        Self::with(account(&[("West Europe", REGION.parse().unwrap())], false))
    }

    pub fn with(emulator: Arc<InMemoryEmulatorHttpClient>) -> Self {
        let proof = Proof::Key(Secret::new(KEY));
        let account = Account { endpoint: REGION.parse().unwrap(), database: "herald".into(), proof };
        Self { emulator, account }
    }

    pub async fn runtime(&self) -> azure_data_cosmos::CosmosRuntime {
        CosmosRuntimeBuilder::from(self.emulator.runtime_builder()).build().await.unwrap()
    }

    /// A client of its own: another instance of Herald.
    pub async fn open(&self) -> CosmosStore {
        self.account.open(Some(self.runtime().await), Arc::new(SystemClock)).await.unwrap()
    }

    pub async fn laid_out() -> Self {
        let here = Self::new();
        create(&here.account, Some(here.runtime().await)).await.unwrap();
        here
    }
}

/// A store for the contract.
pub async fn store() -> (Arc<dyn Store>, InProcess) {
    let here = InProcess::laid_out().await;
    let store: Arc<dyn Store> = Arc::new(here.open().await);
    (store, here)
}
