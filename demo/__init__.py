"""An agent that asks: a loop on the official `openai` package, gated by `mcpguard_sdk`, with a stub for a model.

It knows guardsite by its address and its key alone, as any agent would.
"""
