//! A GitHub App in place of a token: the bot signs in as its installation, and shows neither key nor token.

use std::process::Command;

use super::{GOOD, MINUTE, ROLL_BACK, roll_back};
use crate::world::{
    Config, Hand, Moment, World,
    github::{GitHub, LIVE, Trouble},
    is_installed, left_out,
};

/// The token of the installation is asked for before the write, so that its failure leaves no doubt about the write.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_deploys_as_its_installation() {
    if !is_installed("openssl") {
        left_out("a GitHub App", "openssl, which makes its key");
        return;
    }
    let clock = Hand::at("2026-11-23T12:00:00Z".parse().unwrap());
    let github = GitHub::start(clock.clone()).await;
    github.takes_an_app();
    github.plan("POST", "/access_tokens", Moment::Before, Trouble::Status(502));
    let config = Config::default().with(&github.app_config()).runbook(ROLL_BACK);
    let world = World::prepare(Some(clock), config).await;
    let key = world.folder().join("secrets/github");
    let made = Command::new("openssl").args(["genrsa", "-traditional", "-out"]).arg(&key).arg("2048").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    world.bot.start().await;
    roll_back(&world, GOOD, LIVE).await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!((github.calls("POST", "/deployments"), github.made().len()), (1, 1));
    assert!(github.calls("POST", "/access_tokens") >= 2, "the one that was not answered is asked for again");
    let world = world.finish().await;
    github.finish().await;
    assert!(!world.bot.log().contains("token-of-the-installation"), "the log shows the token");
}

/// Who asks is said once, and a key that is none is told before the bot starts.
#[tokio::test(flavor = "multi_thread")]
async fn a_section_that_is_wrong_is_told_with_its_place() {
    let config = "[github]\ntoken = { file = \"github\" }\napp = { id = 7, installation = 70, key = { file = \"github\" } }\n\
                  api_url = \"github.com\"\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("github"), "not a key\n").unwrap();
    let check = |config: &str| {
        std::fs::write(folder.path().join("firewarden.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_firewarden"));
        let checked = command.arg("check").current_dir(folder.path()).output().unwrap();
        let said = [checked.stdout, checked.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (checked.status.success(), said)
    };
    let (is_right, said) = check(config);
    assert!(!is_right, "{said}");
    for what in [
        "it names both a token and an App",
        "it is not the private key of a GitHub App",
        "`github.com` is not an address of the web",
    ] {
        assert!(said.contains(what), "{said}");
    }
    assert!(!said.contains("not a key"), "{said}");

    std::fs::create_dir(folder.path().join("runbooks")).unwrap();
    std::fs::write(folder.path().join("runbooks/roll-back.yaml"), ROLL_BACK).unwrap();
    let (is_right, said) = check("");
    assert!(is_right && said.contains("there is no `[github]`: what `roll-back` does at GitHub fails"), "{said}");
}
