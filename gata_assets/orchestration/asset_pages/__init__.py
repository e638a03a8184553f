"""What an asset's page in the UI shows beside numbers: charts, previews of rows, and raw files."""
