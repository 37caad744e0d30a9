"""What a fit is made of: recipe, losses, scores, runs and their resume."""
