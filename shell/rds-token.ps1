# Shell integration of rds-token. In $PROFILE:
#
#     rds-token init powershell | Out-String | Invoke-Expression

# Runs the engine's client, or a command, logged in. PowerShell removes a bare --, so quote it. If it fails at once, names
# the command that finds the cause.
function global:rds {
    $start = [DateTime]::UtcNow
    rds-token connect @args
    # Higher codes are signals, or a program that was not found.
    $failed = $args.Count -gt 0 -and $LASTEXITCODE -gt 0 -and $LASTEXITCODE -lt 126
    if ($failed -and ([DateTime]::UtcNow - $start).TotalSeconds -lt 10) {
        $target = if ("$($args[0])" -match '^[\w@:/.][\w@:/.-]*$') { $args[0] } else { 'TARGET' }
        [Console]::Error.WriteLine("rds-token: run 'rds-token doctor $target' to find the cause")
    }
}

# Sets a target's variables in this session. --unset restores the values that they had before.
function global:rds-env {
    # PowerShell removes an empty variable, so the value ends with a space.
    $env:RDS_TOKEN_SAVED = "$global:RDS_TOKEN_SAVED "
    $lines = @(rds-token env --shell powershell @args)
    $env:RDS_TOKEN_SAVED = $null
    if ($LASTEXITCODE -ne 0) {
        return
    }
    if ("$($lines[0])".StartsWith('$env:')) {
        Invoke-Expression ($lines -join "`n")
    } else {
        $lines # --help
    }
}

# Prints the remaining lifetime of the token in whole minutes, for a prompt. Prints nothing if no token is loaded.
function global:rds-ttl {
    $at = [DateTimeOffset]::MinValue
    if ([DateTimeOffset]::TryParse($env:RDS_TOKEN_EXPIRES_AT, [ref] $at)) {
        $left = $at - [DateTimeOffset]::UtcNow
        if ($left -gt [TimeSpan]::Zero) {
            [int] [Math]::Floor($left.TotalMinutes)
        }
    }
}
