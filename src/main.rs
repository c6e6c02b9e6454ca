//! The binary: reads the command line and becomes a role.

use std::process::ExitCode;

use clap::Parser;
use herald::cli::{
    AccessArguments, Cli, Command, ConfigAction, NotificationsAction, NotifyArguments, StoreAction, TextFormat,
};
use herald::config::{Environment, Source};
use herald::role::operator::{Access, Action, Client, Draft, Filter};
use herald::role::{Failure, demo, host, operator, package, serve, settings, terminal};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("herald: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    let environment = Environment;
    match command {
        Command::Host => return host::run(&environment).await,
        Command::Serve => serve::run(&environment).await?,
        Command::Demo { users } => {
            let log = environment.get("RUST_LOG").unwrap_or_else(|| "off".to_owned());
            return demo::run(users, &log).await;
        }
        Command::Notify(arguments) => {
            let (client, json) = client(&arguments.access)?;
            let watch = arguments.watch;
            operator::notify(&client, &draft(*arguments), watch, json).await?;
        }
        Command::Notifications { action, access } => {
            let (client, json) = client(&access)?;
            operator::notifications(&client, &wanted(action), json).await?;
        }
        Command::Users { id, reachable, continuation, access } => {
            let (client, json) = client(&access)?;
            operator::users(&client, &Filter { id, reachable, continuation }, json).await?;
        }
        Command::Config { action: ConfigAction::Check } => settings::check(&environment).await?,
        Command::Config { action: ConfigAction::Describe } => settings::show(&environment),
        Command::Store { action: StoreAction::Init } => settings::init(&environment).await?,
        Command::Package { out, bin, source, platform } => {
            terminal::print(&package::run(&package::Order { source, out, executable: bin, platform })?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn client(access: &AccessArguments) -> Result<(Client, bool), Failure> {
    Ok((
        Client::new(Access { url: access.url.clone(), key: access.key.clone(), token: access.token.clone() })?,
        access.json,
    ))
}

fn draft(arguments: NotifyArguments) -> Draft {
    let format = arguments.format.map(|format| match format {
        TextFormat::Markdown => "markdown".to_owned(),
        TextFormat::Plain => "plain".to_owned(),
        TextFormat::Xml => "xml".to_owned(),
    });
    Draft {
        id: arguments.id,
        text: arguments.text,
        format,
        summary: arguments.summary,
        card: arguments.card,
        quiet: arguments.quiet,
        tenants: arguments.tenant,
        users: arguments.user,
        send_at: arguments.send_at,
        expires_at: arguments.expires_at,
        resend_uncertain: arguments.resend_uncertain,
        dry_run: arguments.dry_run,
    }
}

fn wanted(action: Option<NotificationsAction>) -> Action {
    match action {
        None => Action::List { continuation: None },
        Some(NotificationsAction::List { continuation }) => Action::List { continuation },
        Some(NotificationsAction::Show { id }) => Action::Show(id),
        Some(NotificationsAction::Watch { id }) => Action::Watch(id),
        Some(NotificationsAction::Cancel { id }) => Action::Cancel(id),
        Some(NotificationsAction::Recipients { id, outcome, continuation }) => {
            Action::Recipients { id, outcome, continuation }
        }
    }
}
