# Shell integration of rds-token. In $PROFILE:
#
#     rds-token init powershell | Out-String | Invoke-Expression

# The engine's client, or a command after --, logged in. PowerShell itself takes a bare -- away: quote it.
function global:rds {
    rds-token connect @args
}

# Puts a target's variables into this session, or takes them back (--unset).
function global:rds-env {
    $lines = @(rds-token env --shell powershell @args)
    if ($LASTEXITCODE -ne 0) {
        return
    }
    if ("$($lines[0])".StartsWith('$env:')) {
        Invoke-Expression ($lines -join "`n")
    } else {
        $lines # --help
    }
}

# The whole minutes that the loaded token has to live, for a prompt; nothing without one.
function global:rds-ttl {
    $at = [DateTimeOffset]::MinValue
    if ([DateTimeOffset]::TryParse($env:RDS_TOKEN_EXPIRES_AT, [ref] $at)) {
        $left = $at - [DateTimeOffset]::UtcNow
        if ($left -gt [TimeSpan]::Zero) {
            [int] [Math]::Floor($left.TotalMinutes)
        }
    }
}

# What rds-token can do is asked on the first TAB; from then on its own completer is the registered one.
Register-ArgumentCompleter -Native -CommandName 'rds-token' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    rds-token completions powershell | Out-String | Invoke-Expression
    $line = $commandAst.Extent.Text.PadRight($cursorPosition - $commandAst.Extent.StartOffset)
    (TabExpansion2 -inputScript $line -cursorColumn $line.Length).CompletionMatches
}

# rds and rds-env are completed as the commands that they stand for.
Register-ArgumentCompleter -Native -CommandName 'rds', 'rds-env' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $name = $commandAst.GetCommandName()
    $line = $commandAst.Extent.Text.PadRight($cursorPosition - $commandAst.Extent.StartOffset).Substring($name.Length)
    $line = @{ 'rds' = 'rds-token connect'; 'rds-env' = 'rds-token env' }[$name] + $line
    (TabExpansion2 -inputScript $line -cursorColumn $line.Length).CompletionMatches
}
