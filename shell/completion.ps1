# Completion for rds-token, and for rds and rds-env of `rds-token init powershell`.
Register-ArgumentCompleter -Native -CommandName 'rds-token', 'rds', 'rds-env' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $first = @()
    switch ($commandAst.GetCommandName()) {
        'rds' { $first = @('connect') }
        'rds-env' { $first = @('env') }
    }
    $before = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition })
    $words = @($before | Select-Object -Skip 1 | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { "$_" }
    })
    $words = $first + $words
    $env:RDS_TOKEN_COMPLETE = $words.Count + 1
    $lines = @(rds-token @words "$wordToComplete" 2>$null)
    $env:RDS_TOKEN_COMPLETE = $null
    # Without a result, PowerShell completes file names.
    switch -Regex ("$($lines[0])") {
        '^values$' {
            foreach ($line in $lines | Select-Object -Skip 1) {
                $value, $help = $line -split "`t", 2
                if (-not $help) {
                    $help = $value
                }
                [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
            }
        }
        '^command ' {
            # The command line of the other program, up to the cursor.
            $start = [int] $lines[0].Substring(8) - $first.Count
            if ($start -lt $before.Count) {
                $offset = $before[$start].Extent.StartOffset
            } else {
                $offset = $cursorPosition - "$wordToComplete".Length
            }
            $begin = $commandAst.Extent.StartOffset
            $text = $commandAst.Extent.Text.PadRight($cursorPosition - $begin)
            $line = $text.Substring($offset - $begin, $cursorPosition - $offset)
            (TabExpansion2 -inputScript $line -cursorColumn $line.Length).CompletionMatches
        }
    }
}
