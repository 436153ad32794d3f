"""The page in a browser: scores are read from pictures, and music is written. python -m vlm.app

marked, answers -> studio -> page -> server      studio knows no Gradio, and none below it does
"""
