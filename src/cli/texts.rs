//! The texts of the help: the program, the commands, and their examples.

pub(super) const ABOUT: &str = "Print an IAM authentication token for Amazon RDS or Aurora; cached until it expires";
pub(super) const EXAMPLES: &str = "\
Examples:
  rds-token connect mysql://app@HOST/ExampleDB     start mysql or mariadb, logged in
  rds-token connect prod mysqldump ExampleDB       run any program; prod is a configured target
  mysql --defaults-file=\"$(rds-token cnf prod)\"

Exit codes:
  0 success, 1 other failure, 2 usage or configuration, 3 no AWS credentials, 4 network or timeout
  connect: that of the program; 126 cannot be run, 127 not found, 128+N killed by signal N";

/// The description of each command, and its examples, in the order of `Command`. They are not doc comments there,
/// because clap would copy them on each run.
pub(super) const COMMANDS: &str = r#"connect: Run the engine's client, or any program, logged in
  rds-token connect mysql://app@HOST/ExampleDB   the engine's client
  rds-token connect prod -- -e 'SELECT 1'        arguments for it (psql: -c)
  rds-token connect prod mysqldump ExampleDB     another program
  rds-token connect eve@prod/OtherDB ./test.sh   other user, other database

cnf: Write an option file for MySQL and MariaDB clients; prints its path
  mysql --defaults-file="$(rds-token cnf mysql://app@HOST/ExampleDB)"
  mysqldump --defaults-file="$(rds-token cnf prod)" ExampleDB
  mysql --defaults-file=<(rds-token cnf prod --stdout)

pgpass: Write a passfile for PostgreSQL clients; prints its path
  export PGSSLMODE=verify-full PGGSSENCMODE=disable
  export PGSSLROOTCERT="$(rds-token ca)"
  PGPASSFILE="$(rds-token pgpass postgres://app@HOST)" psql -h HOST -U app
  PGPASSFILE="$(rds-token pgpass pg)" pg_dump -h HOST -U app ExampleDB

env: Print export lines that log in the programs of the shell
  rds-env postgres://app@HOST/ExampleDB && psql    rds-env is defined by init
  vars=$(rds-token env prod --no-secret) && eval "$vars"
  eval "$(rds-token env --unset)"

sql: Print the SQL that creates the database user; --apply runs it
  rds-token sql mysql://app@HOST/ExampleDB
  rds-token sql postgres://app@HOST/ExampleDB --read-only
  rds-token sql prod --apply                     prompts for the master user's password
  rds-token sql prod --apply --password-fd 0 < FILE

doctor: Find the cause of a failed login; checks each part, and logs in
  rds-token doctor mysql://app@HOST/ExampleDB
  rds-token doctor prod --client mariadb
  rds-token doctor prod --output json

setup: Set up the login of a database user, step by step; prints the policy and the SQL
  rds-token setup
  rds-token setup --region eu-west-1 --id mydb --user app --name prod
  rds-token setup --id mydb --user app --apply --yes

targets: List the configured targets; -v adds endpoint, user and engine
  rds-token targets
  rds-token targets -v

inspect: Show the fields of a token, and why a server rejects it; never shows its secrets
  rds-token prod | rds-token inspect
  printf %s "$PGPASSWORD" | rds-token inspect --output json
  rds-token inspect < token.txt

policy: Print the IAM policy that allows users to log in to a database, and nothing else
  rds-token policy prod
  rds-token policy prod -u app -u eve --output terraform
  rds-token policy prod --account 123456789012 --resource-id db-ABCDEFGHIJKLMNOPQRSTUVWXYZ
  aws iam create-policy --policy-name app-login --policy-document "$(rds-token policy …)"

cache: List or clear the cached tokens
  rds-token cache list
  rds-token cache clear mysql://app@HOST
  rds-token cache clear prod

init: Print the shell integration; it defines rds, rds-env, rds-ttl and completion
  eval "$(rds-token init bash)"                 in ~/.bashrc; zsh: in ~/.zshrc
  rds-token init fish | source                  in ~/.config/fish/config.fish
  rds-token init powershell | Out-String | Invoke-Expression    in $PROFILE

token: Print a token (the default command)
  rds-token token mysql://app@HOST
  rds-token token prod --output json
  rds-token generate-db-auth-token --hostname HOST --port 3306 --username app

ca: Print the path of the RDS CA bundle
  psql "host=HOST sslmode=verify-full sslrootcert=$(rds-token ca)"
  mysql -h HOST --ssl-mode=VERIFY_IDENTITY --ssl-ca="$(rds-token ca)"

completions: Print the completion script of a shell, for packagers
  rds-token completions bash > /usr/share/bash-completion/completions/rds-token
  rds-token completions zsh > /usr/share/zsh/site-functions/_rds-token
  rds-token completions fish > ~/.config/fish/completions/rds-token.fish

man: Print the manual page, for packagers
  rds-token man > /usr/share/man/man1/rds-token.1
  rds-token man | man -l -"#;
